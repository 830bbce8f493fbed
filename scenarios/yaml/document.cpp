#include "scenarios/yaml/document.hpp"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

namespace clamor::scenario {

namespace {

constexpr std::size_t file_bytes_max = 1 << 20;
constexpr std::size_t nodes_max = 100'000;  // aliases of aliases can grow without bound

Place place_of(const YAML::Mark& mark) {
  return mark.is_null() ? Place{} : Place{mark.line + 1, mark.column + 1};
}

/// Where the first line is indented by a tab.
std::optional<Place> tab_in_indentation(const std::string& text) {
  std::istringstream lines{text};
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::size_t first = line.find_first_not_of(' ');
    if (first != std::string::npos && line[first] == '\t') {
      return Place{number, static_cast<int>(first) + 1};
    }
  }
  return std::nullopt;
}

struct Refused {
  Place place;
  std::string message;
};

/// Builds the tree from yaml-cpp's events. Its own Node would lose duplicate keys and quotes.
class TreeBuilder : public YAML::EventHandler {
 public:
  Node root;

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.place = place_of(mark);
    finish(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) throw Refused{place_of(mark), "an alias inside its own anchor"};
    count(known->second, place_of(mark));
    finish(known->second, 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node;
    node.kind = Node::Kind::scalar;
    node.place = place_of(mark);
    node.scalar = value;
    node.quoted = tag == "!";
    finish(std::move(node), anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, Node::Kind::sequence, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, Node::Kind::map, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node node;
    YAML::anchor_t anchor;
    bool key_next;
  };

  void open(const YAML::Mark& mark, Node::Kind kind, YAML::anchor_t anchor) {
    Node node;
    node.kind = kind;
    node.place = place_of(mark);
    open_.push_back({std::move(node), anchor, kind == Node::Kind::map});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    finish(std::move(done.node), done.anchor);
  }

  void finish(Node node, YAML::anchor_t anchor) {
    if (++nodes_ > nodes_max) throw Refused{node.place, "too many values; expected a scenario"};
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (!parent.key_next) {
      // yaml-cpp places a missing value at whatever comes next; its key says more.
      const bool missing = node.kind == Node::Kind::null && parent.node.kind == Node::Kind::map;
      if (missing) node.place = parent.node.keys.back().place;
      parent.node.items.push_back(std::move(node));
      parent.key_next = parent.node.kind == Node::Kind::map;
      return;
    }
    if (node.kind != Node::Kind::scalar) {
      throw Refused{node.place, "a key is no plain text; expected a word before the colon"};
    }
    parent.node.keys.push_back({node.scalar, node.place});
    parent.key_next = false;
  }

  void count(const Node& node, Place place) {
    if (++nodes_ > nodes_max) throw Refused{place, "too many values by aliases"};
    for (const Node& item : node.items) count(item, place);
  }

  std::vector<Open> open_;
  std::map<YAML::anchor_t, Node> anchors_;
  std::size_t nodes_ = 0;
};

}  // namespace

std::string located(const std::string& file, Place place, const std::string& message) {
  return fmt::format("{}:{}:{}: {}", file, place.line, place.column, message);
}

Parsed<Node> parse_yaml(const std::string& text, const std::string& file) {
  const auto refuse = [&file](Place place, const std::string& message) {
    return Parsed<Node>{std::nullopt, {located(file, place, message)}};
  };
  if (text.size() > file_bytes_max)
    return refuse({}, "longer than 1 MiB; expected a YAML scenario");
  if (text.find('\0') != std::string::npos) return refuse({}, "not a text file; expected YAML");
  try {
    std::istringstream in{text};
    YAML::Parser parser{in};
    TreeBuilder builder;
    if (!parser.HandleNextDocument(builder)) return refuse({}, "the file is empty");
    TreeBuilder second;
    if (parser.HandleNextDocument(second)) {
      return refuse(second.root.place, "a second document; expected one document in the file");
    }
    return {std::move(builder.root), {}};
  } catch (const YAML::DeepRecursion& error) {
    return refuse(place_of(error.mark), "nested too deeply; expected a scenario");
  } catch (const YAML::Exception& error) {
    // yaml-cpp stumbles over a tab only later, and calls it something else.
    if (const auto tab = tab_in_indentation(text)) {
      return refuse(*tab, "a tab in the indentation; expected spaces");
    }
    return refuse(place_of(error.mark), "not valid YAML: " + error.msg);
  } catch (const Refused& refused) {
    return refuse(refused.place, refused.message);
  }
}

Parsed<std::string> read_text_file(const std::string& path) {
  const auto refuse = [&path](const std::string& why) {
    return Parsed<std::string>{std::nullopt, {path + ": " + why}};
  };
  std::error_code ec;
  const auto status = std::filesystem::status(path, ec);
  if (status.type() == std::filesystem::file_type::not_found) return refuse("no such file");
  if (ec) return refuse("cannot be read: " + ec.message());
  if (std::filesystem::is_directory(status)) return refuse("is a directory; expected a file");
  std::ifstream in{path, std::ios::binary};
  std::ostringstream text;
  // An empty file sets failbit on operator<<, so emptiness is judged by the parser.
  if (in) text << in.rdbuf();
  if (!in) return refuse(std::string{"cannot be read: "} + std::strerror(errno));
  return {text.str(), {}};
}

}  // namespace clamor::scenario

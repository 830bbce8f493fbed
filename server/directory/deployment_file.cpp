#include "server/directory/deployment_file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <sstream>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>

namespace clamor::directory {
namespace {

std::string file_of(const std::string& data) { return data + "/deployment"; }

/// The number of nodes that the file names; 0 where there is no file, or none in it.
std::uint32_t nodes_in(const std::string& path) {
  std::ifstream in{path};
  std::string key;
  std::uint32_t nodes = 0;
  if (in >> key >> nodes && key == "nodes") return nodes;
  return 0;
}

/// The leases that the file notes, by node.
std::map<std::uint32_t, std::string> lines_in(const std::string& path) {
  std::ifstream in{path};
  std::map<std::uint32_t, std::string> lines;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words{line};
    std::string key;
    std::uint32_t node = 0;
    if (words >> key >> node && key == "node") lines[node] = line;
  }
  return lines;
}

/// While it lives no other process has one of the same directory.
class Turn {
 public:
  explicit Turn(const std::string& data) : fd_{open(data.c_str(), O_RDONLY | O_CLOEXEC)} {
    if (fd_ < 0) {
      errno_ = errno;
      return;
    }
    while (flock(fd_, LOCK_EX) != 0) {
      if (errno == EINTR) continue;
      errno_ = errno;
      return;
    }
  }
  ~Turn() {
    if (fd_ >= 0) close(fd_);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  /// Why there is none; 0 where there is.
  [[nodiscard]] int error() const { return errno_; }

 private:
  int fd_;
  int errno_ = 0;
};

/// What failed with the file or its directory, and what to do.
std::string unwritten(const std::string& path, const char* what, const std::string& why) {
  return fmt::format(
      "{}: {}: {}; expected a directory in which this process may make files, on a disk with "
      "room, that can be locked (flock); --data names another one",
      path, what, why);
}

}  // namespace

std::string check_deployment(const std::string& data, std::uint32_t nodes) {
  namespace fs = std::filesystem;
  std::error_code error;
  const std::string path = file_of(data);
  if (fs::exists(path, error)) {
    const std::uint32_t found = nodes_in(path);
    if (found == nodes) return {};
    if (found == 0) {
      return fmt::format(
          "{}: expected `nodes N` in its first line; restore the data directory "
          "from a copy, or name another one (--data)",
          path);
    }
    return fmt::format(
        "{}: the data directory was made for {} nodes, the settings say {}. Use --nodes {} "
        "(or a list of so many `nodes`), or another directory (--data)",
        data, found, nodes, found);
  }
  // A lone node keeps its store in the directory itself.
  if (nodes > 1 && fs::exists(data + "/CURRENT", error)) {
    return fmt::format(
        "{}: the data directory was made for 1 node, the settings say {}. Use --nodes 1 "
        "without a list of `nodes`, or another directory (--data)",
        data, nodes);
  }
  if (nodes == 1) return {};
  fs::create_directories(data, error);
  if (error) {
    return fmt::format("{}: cannot make the data directory: {}; --data names another one", data,
                       error.message());
  }
  return {};
}

std::string write_deployment(const std::string& data, std::uint32_t nodes, std::uint32_t partitions,
                             std::span<const Lease> leases) {
  const std::string path = file_of(data);
  const Turn turn{data};
  if (turn.error() != 0) return unwritten(data, "cannot be locked", std::strerror(turn.error()));
  std::map<std::uint32_t, std::string> lines = lines_in(path);
  for (const Lease& lease : leases) {
    lines[lease.node.value] = fmt::format("node {} term {} listen {} {}", lease.node.value,
                                          lease.term.value, lease.address, lease.port);
  }
  const std::string draft = path + ".new";
  {
    std::ofstream out{draft, std::ios::trunc};
    out << "nodes " << nodes << "\npartitions " << partitions << '\n';
    for (const auto& [node, line] : lines) out << line << '\n';
    out.flush();
    if (!out) return unwritten(draft, "cannot be written", std::strerror(errno));
  }
  std::error_code error;
  std::filesystem::rename(draft, path, error);
  if (error) return unwritten(path, "cannot be replaced", error.message());
  return {};
}

}  // namespace clamor::directory

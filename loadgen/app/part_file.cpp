#include "loadgen/app/part_file.hpp"

#include <fstream>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace clamor::loadgen {
namespace {

class Writer {
 public:
  explicit Writer(const std::filesystem::path& file)
      : name_{file.string()}, out_{file, std::ios::binary | std::ios::trunc} {}

  template <class Value>
  void value(const Value& value) {
    static_assert(std::is_trivially_copyable_v<Value>);
    out_.write(reinterpret_cast<const char*>(&value), sizeof value);
  }
  template <class Range>
  void list(const Range& items) {
    value(std::uint64_t{items.size()});
    for (const auto& item : items) value(item);
  }
  void text(const std::string& text) {
    value(std::uint64_t{text.size()});
    out_.write(text.data(), static_cast<std::streamsize>(text.size()));
  }
  void histogram(const Histogram& h) {
    list(h.buckets());
    value(h.sum());
    value(h.min());
    value(h.max());
  }
  void close() {
    out_.close();
    if (!out_) throw std::runtime_error{name_ + ": cannot be written; is the disk full?"};
  }

 private:
  std::string name_;
  std::ofstream out_;
};

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file)
      : name_{file.string()}, in_{file, std::ios::binary} {}

  template <class Value>
  Value value() {
    static_assert(std::is_trivially_copyable_v<Value>);
    Value value{};
    if (!in_.read(reinterpret_cast<char*>(&value), sizeof value)) {
      throw std::runtime_error{name_ + ": missing or cut short; did its worker end early?"};
    }
    return value;
  }
  template <class Value>
  std::vector<Value> list() {
    std::vector<Value> items;
    const auto size = value<std::uint64_t>();
    for (std::uint64_t i = 0; i < size; ++i) items.push_back(value<Value>());
    return items;
  }
  std::string text() {
    std::string text(value<std::uint64_t>(), '\0');
    in_.read(text.data(), static_cast<std::streamsize>(text.size()));
    return text;
  }
  Histogram histogram() {
    auto buckets = list<std::uint64_t>();
    const auto sum = value<std::uint64_t>();
    const auto min = value<std::uint64_t>();
    const auto max = value<std::uint64_t>();
    return Histogram::from_parts(std::move(buckets), sum, min, max);
  }
  void skip(std::uint64_t bytes) { in_.seekg(static_cast<std::streamoff>(bytes), std::ios::cur); }

 private:
  std::string name_;
  std::ifstream in_;
};

void write_trouble(Writer& out, const RowTrouble* trouble) {
  out.value(trouble != nullptr);
  if (trouble == nullptr) return;
  out.list(trouble->holes.ranges());
  out.list(trouble->excused.ranges());
}

bool read_trouble(Reader& in, RowTrouble& trouble) {
  if (!in.value<bool>()) return false;
  trouble = {};
  for (const IdRange& range : in.list<IdRange>()) trouble.holes.insert(range.first, range.last);
  for (const IdRange& range : in.list<IdRange>()) trouble.excused.insert(range.first, range.last);
  return true;
}

void write_recording(Writer& out, const Recording& recording) {
  out.value(std::uint64_t{recording.by_class.size()});
  for (const Recording::ByClass& by_class : recording.by_class) {
    for (const Histogram& h : by_class.delivery) out.histogram(h);
    for (const Histogram& h : by_class.service) out.histogram(h);
    out.histogram(by_class.ack);
  }
  for (const Histogram* h : {&recording.catch_up, &recording.connect, &recording.recovery,
                             &recording.offline_notice, &recording.lag, &recording.turn}) {
    out.histogram(*h);
  }
  out.value(recording.presence_notices);
}

Recording read_recording(Reader& in) {
  Recording recording{static_cast<std::size_t>(in.value<std::uint64_t>())};
  for (Recording::ByClass& by_class : recording.by_class) {
    for (Histogram& h : by_class.delivery) h = in.histogram();
    for (Histogram& h : by_class.service) h = in.histogram();
    by_class.ack = in.histogram();
  }
  for (Histogram* h : {&recording.catch_up, &recording.connect, &recording.recovery,
                       &recording.offline_notice, &recording.lag, &recording.turn}) {
    *h = in.histogram();
  }
  recording.presence_notices = in.value<std::uint64_t>();
  return recording;
}

}  // namespace

void write_part(const std::filesystem::path& file, const WorkerPart& part, const Ledger& ledger) {
  Writer out{file};
  out.list(ledger.notes());
  out.value(part.totals);
  out.value(part.asked);
  out.value(part.opened);
  out.value(part.unsettled);
  out.value(part.unsynced);
  out.value(part.cpu_seconds);
  out.value(part.memory_bytes);
  out.value(std::uint64_t{part.findings.size()});
  for (const std::string& finding : part.findings) out.text(finding);
  write_recording(out, part.recording);
  out.value(ledger.first_client());
  out.value(ledger.clients());
  for (std::uint32_t i = 0; i < ledger.clients(); ++i) {
    const std::uint32_t client = ledger.first_client() + i;
    out.list(ledger.channels_of(client));
    const auto rows = ledger.rows_of(client);
    for (std::size_t index = 0; index < rows.size(); ++index) {
      out.value(rows[index]);
      write_trouble(out, ledger.trouble_of(client, index));
    }
  }
  out.close();
}

void read_notes(const std::filesystem::path& file, Verifier& verifier) {
  verifier.add_notes(Reader{file}.list<Note>());
}

WorkerPart read_part(const std::filesystem::path& file, Verifier& verifier) {
  Reader in{file};
  in.skip(in.value<std::uint64_t>() * sizeof(Note));
  WorkerPart part;
  part.totals = in.value<LedgerTotals>();
  part.asked = in.value<std::uint64_t>();
  part.opened = in.value<std::uint64_t>();
  part.unsettled = in.value<std::uint64_t>();
  part.unsynced = in.value<std::uint64_t>();
  part.cpu_seconds = in.value<double>();
  part.memory_bytes = in.value<std::uint64_t>();
  const auto findings = in.value<std::uint64_t>();
  for (std::uint64_t i = 0; i < findings; ++i) part.findings.push_back(in.text());
  part.recording = read_recording(in);
  const auto first_client = in.value<std::uint32_t>();
  const auto clients = in.value<std::uint32_t>();
  RowTrouble trouble;
  for (std::uint32_t i = 0; i < clients; ++i) {
    for (const std::uint32_t channel : in.list<std::uint32_t>()) {
      const auto row = in.value<Row>();
      const bool troubled = read_trouble(in, trouble);
      verifier.check(first_client + i, channel, row, troubled ? &trouble : nullptr);
    }
  }
  return part;
}

void write_heads(const std::filesystem::path& file, const std::vector<MessageId>& heads) {
  Writer out{file};
  out.list(heads);
  out.close();
}

std::vector<MessageId> read_heads(const std::filesystem::path& file) {
  return Reader{file}.list<MessageId>();
}

}  // namespace clamor::loadgen

// Question: what does it cost to append records to the log, by records per commit and durability?
#include "server/store/store.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace clamor::store {
namespace {

/// A directory of its own, gone at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "clamor-append-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make " + pattern);
    path_ = pattern;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Commits of `records` records of 100 bytes, to a hundred channels in turn, `commits` at a time as
/// the committer hands over what waited.
void append(benchmark::State& state) {
  const auto records = static_cast<std::uint64_t>(state.range(0));
  const auto durability = static_cast<Durability>(state.range(1));
  state.SetLabel(durability == Durability::fsync ? "fsync" : "os");
  const TemporaryDirectory directory;
  Store store{{.path = directory.path(), .durability = durability}};
  const std::vector<std::byte> body(100, std::byte{'x'});
  std::vector<MessageId> heads(100);
  std::vector<JournalSequence> journals(4);
  std::uint64_t bytes = 0;
  std::uint64_t next = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto commit = std::make_shared<Commit>();
    for (std::uint64_t i = 0; i < records; ++i, ++next) {
      const std::uint64_t channel = next % heads.size();
      const auto partition = static_cast<std::uint32_t>(channel % journals.size());
      commit->add({.channel = {channel + 1}, .id = ++heads[channel], .sender = {1}}, body,
                  {PartitionId{partition}, ++journals[partition]});
    }
    const std::vector<std::shared_ptr<const Commit>> commits{std::move(commit)};
    state.ResumeTiming();
    const auto appended = store.append(commits);
    if (!appended) {
      state.SkipWithError(appended.error().what.c_str());
      break;
    }
    bytes += *appended;
  }
  RecordBatch read;
  if (!store.scan_log({1}, {}, heads[0], 1 << 20U, 1 << 30U, read) ||
      read.size() != heads[0].value) {
    state.SkipWithError("the log does not hold what was appended");
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(records) * state.iterations());
  state.counters["bytes_per_record"] =
      static_cast<double>(bytes) / static_cast<double>(std::max<std::uint64_t>(next, 1));
}
BENCHMARK(append)
    ->ArgNames({"records", "durability"})
    ->ArgsProduct({{1, 8, 64, 512}, {0, 1}})
    ->UseRealTime()
    ->MinTime(0.3);

}  // namespace
}  // namespace clamor::store

// libFuzzer's entry points, the same for every target.

#include "tests/fuzz/fuzz_target.hpp"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

/// `--write-seeds=FOLDER` as the first argument writes the seeds there and ends the process.
extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  constexpr std::string_view option = "--write-seeds=";
  if (*count < 2 || !std::string_view{(*arguments)[1]}.starts_with(option)) return 0;
  const std::filesystem::path folder{(*arguments)[1] + option.size()};
  std::filesystem::create_directories(folder);
  const auto seeds = clamor::fuzz::seeds();
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    std::ofstream out{folder / ("seed-" + std::to_string(i)), std::ios::binary};
    out.write(reinterpret_cast<const char*>(seeds[i].data()),
              static_cast<std::streamsize>(seeds[i].size()));
    out.close();
    clamor::fuzz::require(out.good(), "a seed can be written");
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  clamor::fuzz::run(std::as_bytes(std::span{data, size}));
  return 0;
}

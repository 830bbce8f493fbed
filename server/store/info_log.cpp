#include "server/store/info_log.hpp"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace clamor::store {
namespace {

constexpr off_t bytes_max = off_t{1} << 20U;

class InfoLog final : public rocksdb::Logger {
 public:
  explicit InfoLog(const std::string& file)
      : rocksdb::Logger{rocksdb::WARN_LEVEL},
        fd_{::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)} {
    struct stat facts {};
    if (::fstat(fd_, &facts) == 0 && facts.st_size > bytes_max) {
      const int cut = ::ftruncate(fd_, 0);
      static_cast<void>(cut);
    }
  }
  ~InfoLog() override {
    if (fd_ >= 0) ::close(fd_);
  }
  InfoLog(const InfoLog&) = delete;
  InfoLog& operator=(const InfoLog&) = delete;

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    std::array<char, 2048> line;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    tm utc{};
    gmtime_r(&now.tv_sec, &utc);
    std::size_t length = std::strftime(line.data(), line.size(), "%FT%TZ ", &utc);
    const int wanted =
        std::vsnprintf(line.data() + length, line.size() - length - 1, format, arguments);
    if (wanted < 0) return;
    length += std::min(static_cast<std::size_t>(wanted), line.size() - length - 2);
    line[length++] = '\n';
    const ssize_t written = ::write(fd_, line.data(), length);
    static_cast<void>(written);
  }

 private:
  int fd_;
};

}  // namespace

std::shared_ptr<rocksdb::Logger> info_log(const std::string& file) {
  return std::make_shared<InfoLog>(file);
}

}  // namespace clamor::store

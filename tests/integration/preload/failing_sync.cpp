// Loaded before a server (LD_PRELOAD): its fsync and fdatasync fail, or hang, while the file that
// CLAMOR_SYNC_FAULT names says so: "fail" for all files, "hang .sst" for those with such a name.

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace {

std::string fault() {
  const char* const path = std::getenv("CLAMOR_SYNC_FAULT");
  if (path == nullptr) return {};
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  char text[64] = {};
  const ssize_t size = read(file, text, sizeof text - 1);
  close(file);
  return size > 0 ? text : "";
}

std::string name_of(int fd) {
  char link[64];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  char name[PATH_MAX];
  const ssize_t size = readlink(link, name, sizeof name);
  return size > 0 ? std::string(name, static_cast<std::size_t>(size)) : std::string{};
}

/// The fault's own answer, or what the system's function says.
int synced(int fd, const char* function) {
  const std::string hang = "hang ";
  std::string said = fault();
  if (said == "fail") {
    errno = EIO;
    return -1;
  }
  while (said.rfind(hang, 0) == 0 &&
         name_of(fd).find(said.substr(hang.size())) != std::string::npos) {
    const timespec pause{.tv_sec = 0, .tv_nsec = 5'000'000};
    nanosleep(&pause, nullptr);
    said = fault();
  }
  const auto next = reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, function));
  return next(fd);
}

}  // namespace

extern "C" int fsync(int fd) { return synced(fd, "fsync"); }
extern "C" int fdatasync(int fd) { return synced(fd, "fdatasync"); }

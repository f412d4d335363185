// SPDX-License-Identifier: MIT
#include "cli/image_service.h"

#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstring>

#include "cli/locate.h"
#include "image/image.h"
#include "image/map_client.h"
#include "image/memfd.h"
#include "os/runtime_directory.h"

namespace prewarm::cli {
namespace {

using image::Refusal;

// Of the auxiliary vector as the kernel made it: getauxval(3) has another idea of AT_HWCAP.
std::uint64_t auxiliary(std::uint64_t type) {
  const os::Fd file(::open("/proc/self/auxv", O_RDONLY | O_CLOEXEC));
  Elf64_auxv_t entry{};
  while (::read(file.get(), &entry, sizeof entry) == sizeof entry && entry.a_type != AT_NULL) {
    if (entry.a_type == type) return entry.a_un.a_val;
  }
  return 0;
}

// A child that isn't noticed: no SIGCHLD when it ends.
pid_t fork_unnoticed() { return static_cast<pid_t>(::syscall(SYS_clone, 0, 0, 0, 0, 0)); }

// What the service isn't to inherit of whoever needed it first.
void forget_caller() {
  ::setsid();
  sigset_t none;
  sigemptyset(&none);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const auto resource : {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_NOFILE, RLIMIT_AS}) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0) continue;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(resource, &limit);
  }
  const int nothing = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) ::dup2(nothing, fd);
  ::close_range(3, ~0U, 0);
}

// Whether it hadn't been tried lately. The front looks at the same file (image_start.h).
bool stamp_start(const std::string& path) {
  struct stat s{};
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  if (::stat(path.c_str(), &s) == 0 && now.tv_sec - s.st_mtim.tv_sec < image::kStartPauseSeconds &&
      now.tv_sec >= s.st_mtim.tv_sec) {
    return false;
  }
  const os::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  return file.valid() && ::futimens(file.get(), nullptr) == 0;
}

}  // namespace

std::uint64_t own_stack_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_STACK, &limit);
  return limit.rlim_cur;
}

// As the restorer will look at it.
Refusal check_conditions(const GivenImage& given) {
  const auto mapping = image::Mapping::of(given.image);
  if (!mapping || mapping->bytes().size() < sizeof(image::ImageHeader)) return Refusal::damaged;
  image::ImageHeader header;
  std::memcpy(&header, mapping->bytes().data(), sizeof header);
  if (header.version != image::kImageVersion) return Refusal::other_version;
  const auto& wanted = header.conditions;
  const bool hold = wanted.stack_limit == own_stack_limit() &&
                    wanted.hwcap == auxiliary(AT_HWCAP) && wanted.hwcap2 == auxiliary(AT_HWCAP2) &&
                    wanted.clock_ticks == auxiliary(AT_CLKTCK);
  return hold ? Refusal::none : Refusal::other_conditions;
}

std::expected<GivenImage, Refusal> ask_for_image(const std::string& path, const ImageWish& wish) {
  char socket_path[128];
  if (!image::service_socket_path(environ, socket_path, sizeof socket_path)) {
    return std::unexpected(Refusal::no_service);
  }
  const os::Fd program(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!program.valid()) return std::unexpected(Refusal::not_found);
  const os::Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  image::MapCall call;
  call.socket_path = socket_path;
  call.exec_fd = program.get();
  call.pidfd = self.get();
  call.stack_limit = wish.stack_limit;
  call.flags = wish.flags;
  call.path = path.c_str();
  call.preload = wish.preload.c_str();
  call.fewest_regions = wish.fewest_regions;
  constexpr unsigned kPatienceMs = 5000;
  constexpr unsigned kLongestBuildMs = 600'000;
  call.timeout_ms = (wish.flags & image::kMapWait) != 0 ? kLongestBuildMs : kPatienceMs;
  image::MappedImage mapped;
  const Refusal refusal = image::request_map(call, mapped);
  if (refusal != Refusal::none) return std::unexpected(refusal);
  GivenImage given;
  given.image = os::Fd(mapped.image);
  for (unsigned i = 0; i < mapped.file_count; ++i) given.files.emplace_back(mapped.files[i]);
  return given;
}

void start_service_unnoticed() {
  const std::string service = find_service();
  const auto directory = os::runtime_directory();
  if (service.empty() || !directory || !stamp_start(*directory + image::kStartStampName)) return;
  const pid_t child = fork_unnoticed();
  if (child == 0) {
    // Its own child is nobody's who could wait for it by mistake.
    if (fork_unnoticed() == 0) {
      forget_caller();
      ::execl(service.c_str(), "prewarmd", "--background", nullptr);
    }
    ::_exit(0);
  }
  if (child > 0) ::waitpid(child, nullptr, __WALL);
}

os::Result<void> have_service() {
  if (image::ServiceClient::connect()) return {};
  const std::string service = find_service();
  if (service.empty()) return os::failed_with(ENOENT, "find", "prewarmd");
  return image::start_service(service);
}

}  // namespace prewarm::cli

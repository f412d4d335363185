// SPDX-License-Identifier: MIT
#include "image/spawner_process.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "image/memfd.h"
#include "image/packet.h"
#include "image/service_helper.h"
#include "image/wire.h"
#include "os/clock.h"
#include "os/process.h"

namespace prewarm::image {
namespace {

void limit(int resource, rlim_t most) {
  rlimit now{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &now) != 0) return;
  now.rlim_cur = std::min(most, now.rlim_max);
  ::setrlimit(static_cast<__rlimit_resource>(resource), &now);
}

// What ld.so would look at; the images are of programs that are started without.
bool is_for_loader(const char* variable) {
  return std::strncmp(variable, "LD_", 3) == 0 ||
         std::strncmp(variable, "GLIBC_TUNABLES=", 15) == 0;
}

std::vector<char*> loaderless_environment() {
  std::vector<char*> kept;
  for (char** v = environ; v != nullptr && *v != nullptr; ++v) {
    if (!is_for_loader(*v)) kept.push_back(*v);
  }
  kept.push_back(nullptr);
  return kept;
}

[[noreturn]] void exec_builder(std::vector<std::string> words, const BuildOrder& order, int memfd,
                               std::uint64_t bytes, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  limit(RLIMIT_STACK, order.stack_limit);
  limit(RLIMIT_DATA, bytes);
  limit(RLIMIT_FSIZE, kMaxImageBytes);
  limit(RLIMIT_CORE, 0);
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (nothing < 0 || ::dup2(nothing, STDIN_FILENO) < 0 || ::dup2(nothing, STDOUT_FILENO) < 0) {
    ::_exit(1);
  }
  if (memfd == kBuilderDescriptor) {
    ::fcntl(memfd, F_SETFD, 0);
  } else if (::dup2(memfd, kBuilderDescriptor) < 0) {
    ::_exit(1);
  }
  close_all_but({kBuilderDescriptor});
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execve(argv[0], argv.data(), loaderless_environment().data());
  ::_exit(1);
}

Refusal refusal_of(int status) {
  if (!WIFEXITED(status)) return Refusal::build_failed;
  const int code = WEXITSTATUS(status);
  if (code == 0) return Refusal::none;
  const int refusal = code - kBuilderRefused;
  return refusal > 0 && refusal < static_cast<int>(Refusal::count) ? static_cast<Refusal>(refusal)
                                                                   : Refusal::build_failed;
}

// Only what is code anyway: never somebody's keys.
os::Fd open_elf(const std::string& path) {
  os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat s;
  char magic[SELFMAG] = {};
  if (fd.valid() && (::fstat(fd.get(), &s) != 0 || !S_ISREG(s.st_mode) ||
                     ::pread(fd.get(), magic, sizeof magic, 0) != sizeof magic ||
                     std::memcmp(magic, ELFMAG, SELFMAG) != 0)) {
    fd.reset();
  }
  return fd;
}

}  // namespace

void SpawnerProcess::run() {
  for (;;) {
    // Wait for an order, a file to open, or the end of a builder.
    pollfd polled[2 + kMaxBuilders] = {{orders_.get(), POLLIN, 0}, {opener_.get(), POLLIN, 0}};
    for (std::size_t i = 0; i < kMaxBuilders; ++i) {
      polled[2 + i] = {builders_[i].process.get(), POLLIN, 0};
    }
    if (::poll(polled, 2 + kMaxBuilders, timeout()) < 0 && errno != EINTR) return;

    const std::int64_t now = os::now_ns();
    for (std::size_t i = 0; i < kMaxBuilders; ++i) {
      if (builders_[i].pid <= 0) continue;
      if (polled[2 + i].revents != 0 || now >= builders_[i].deadline_ns) take_end(builders_[i]);
    }
    if (polled[1].revents != 0) take_open();
    if (polled[0].revents != 0 && !take_order()) break;
  }
  for (Builder& builder : builders_) {
    if (builder.pid > 0) ::kill(-builder.pid, SIGKILL);
  }
}

int SpawnerProcess::timeout() const {
  std::int64_t until = -1;
  for (const Builder& builder : builders_) {
    if (builder.pid > 0 && (until < 0 || builder.deadline_ns < until)) until = builder.deadline_ns;
  }
  if (until < 0) return -1;
  return static_cast<int>(std::max<std::int64_t>(0, until - os::now_ns()) / os::kNsPerMs) + 1;
}

bool SpawnerProcess::take_order() {
  Packet packet;
  const Arrival arrival =
      receive_packet(orders_.get(), sizeof(BuildOrder) + 2 * kMaxPathBytes, MSG_DONTWAIT, packet);
  if (arrival == Arrival::nothing) return true;
  BuildOrder order;
  std::string_view bytes = packet.bytes;
  if (arrival != Arrival::packet || !take_head(bytes, order)) return false;
  const bool are_paths =
      bytes.size() == std::uint64_t{order.path_bytes} + order.preload_bytes && is_path(bytes);
  const Refusal refusal = are_paths ? start(order, std::string(bytes.substr(0, order.path_bytes)),
                                            std::string(bytes.substr(order.path_bytes)))
                                    : Refusal::not_found;
  if (refusal != Refusal::none) report(order.id, refusal, {});
  return true;
}

Refusal SpawnerProcess::start(const BuildOrder& order, const std::string& path,
                              const std::string& preload) {
  if (options_.builder.empty()) return Refusal::build_failed;
  Builder* free = nullptr;
  for (Builder& builder : builders_) {
    if (builder.pid <= 0) free = &builder;
  }
  if (free == nullptr) return Refusal::too_busy;
  auto memfd = make_memfd("prewarm-image", 0);
  if (!memfd) return Refusal::no_memory;
  std::vector<std::string> words = options_.builder;
  words.insert(words.end(), {"--to-descriptor", std::to_string(kBuilderDescriptor)});
  if (order.variant == static_cast<std::uint32_t>(Variant::packed)) words.emplace_back("--pack");
  if (order.variant == static_cast<std::uint32_t>(Variant::plain)) words.emplace_back("--no-pack");
  if (!preload.empty()) words.insert(words.end(), {"--preload", preload});
  words.push_back(path);
  const pid_t self = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) exec_builder(std::move(words), order, memfd->get(), options_.build_bytes, self);
  if (pid < 0) return Refusal::no_memory;
  ::setpgid(pid, pid);  // whoever of the two comes first
  *free = {pid, os::watch(pid), std::move(*memfd), order.id,
           os::now_ns() + options_.build_seconds * os::kNsPerSecond};
  return Refusal::none;
}

void SpawnerProcess::take_end(Builder& builder) {
  // Also what it may have left behind: nobody may write to the image any more. As long as it isn't
  // waited for the number is its group's; and one that has ended by itself keeps its status.
  int status = -1;
  ::kill(-builder.pid, SIGKILL);
  const bool ended = ::waitpid(builder.pid, &status, 0) == builder.pid;
  report(builder.id, ended ? refusal_of(status) : Refusal::build_failed, builder.memfd);
  builder = {};
}

void SpawnerProcess::report(std::uint64_t id, Refusal refusal, const os::Fd& memfd) {
  const BuildReport report{id, refusal, 0};
  const int fd = memfd.get();
  const std::span<const int> none;
  // The service reads; if it hangs it gets no more orders filled either.
  (void)send_packet(orders_.get(), as_bytes(report),
                    refusal == Refusal::none ? std::span(&fd, 1) : none, 0);
}

void SpawnerProcess::take_open() {
  Packet packet;
  if (receive_packet(opener_.get(), kMaxPathBytes, MSG_DONTWAIT, packet) != Arrival::packet ||
      packet.descriptors.size() != 1 || !is_path(packet.bytes)) {
    return;
  }
  const os::Fd file = open_elf(packet.bytes);
  const int fd = file.get();
  const std::span<const int> none;
  (void)send_packet(packet.descriptors[0].get(), file.valid() ? "y" : "n",
                    file.valid() ? std::span(&fd, 1) : none, MSG_DONTWAIT);
}

}  // namespace prewarm::image

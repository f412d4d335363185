// SPDX-License-Identifier: MIT
#include "bench/image_service.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/packet.h"
#include "image/refusal.h"
#include "image/service_socket.h"
#include "image/wire.h"
#include "os/clock.h"
#include "os/process.h"
#include "os/unix_address.h"

namespace prewarm::bench {
namespace {

constexpr char kSocket[] = "/image.sock";
constexpr double kNsPerUs = 1000;
constexpr unsigned kPatienceMs = 10'000;

os::Fd listen_at(const std::string& path) {
  const auto address = os::UnixAddress::of(path);
  os::Fd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const bool listens = address && ::bind(listener.get(), address->get(), address->size()) == 0 &&
                       ::listen(listener.get(), SOMAXCONN) == 0;
  return listens ? std::move(listener) : os::Fd();
}

// One after the other, until it is ended.
[[noreturn]] void answer_all(int listener, unsigned count) {
  // As for a program that is executed.
  ::signal(SIGTERM, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const os::Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<int> descriptors(count, nothing.get());
  const image::MapAnswer answer{.descriptors = count};
  for (;;) {
    const os::Fd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    image::Packet request;
    constexpr std::size_t kMost = sizeof(image::MapRequest) + image::kMaxPathBytes;
    image::receive_packet(connection.get(), kMost, 0, request);
    image::send_packet(connection.get(), image::as_bytes(answer), descriptors, 0);
  }
}

}  // namespace

os::Result<std::shared_ptr<ImageService>> ImageService::start(
    const Session& session, const std::vector<std::string>& images) {
  const std::string directory = session.scratch_path("run");
  if (::mkdir(directory.c_str(), 0700) != 0) return os::failed("make", directory);
  auto environment = session.environment("cache");
  std::erase_if(environment, [](const auto& e) { return e.starts_with("PREWARM_RUNTIME_DIR="); });
  environment.push_back("PREWARM_RUNTIME_DIR=" + directory);
  Command command{.argv = {session.options.directory + "/../prewarmd"}, .env = environment};
  for (const std::string& image : images) {
    command.argv.insert(command.argv.end(), {"--image", image});
  }
  const os::Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const auto pid = session.processes.spawn(command, {nothing.get(), nothing.get(), STDERR_FILENO});
  if (!pid) return std::unexpected(pid.error());
  const std::string socket = directory + kSocket;
  auto service = std::make_shared<ImageService>(*pid, socket, std::move(environment));
  // It listens once the images are being read; the first requests wait for that.
  const std::int64_t end = os::now_ns() + 20 * os::kNsPerSecond;
  while (!image::connect_to_service(socket)) {
    if (os::now_ns() > end) return os::failed_with(ETIMEDOUT, "start", command.argv[0]);
    const os::Fd watched = os::watch(*pid);
    if (const auto ended =
            session.processes.wait_readable(watched.get(), std::chrono::milliseconds(5));
        !ended || *ended) {
      return os::failed_with(0, "start", command.argv[0]);
    }
  }
  return service;
}

os::Result<std::shared_ptr<ImageService>> ImageService::bare(const Session& session,
                                                             unsigned descriptors) {
  const std::string socket = session.scratch_path(fmt::format("bare-{}", descriptors));
  const os::Fd listener = listen_at(socket);
  if (!listener.valid()) return os::failed("listen at", socket);
  const pid_t pid = ::fork();
  if (pid < 0) return os::failed("fork");
  if (pid == 0) answer_all(listener.get(), descriptors);
  return std::make_shared<ImageService>(pid, socket, std::vector<std::string>{});
}

ImageService::~ImageService() {
  ::kill(pid_, SIGTERM);
  ::waitpid(pid_, nullptr, 0);
}

os::Result<GivenImage> ImageService::map(const std::string& program,
                                         std::uint64_t stack_limit) const {
  const os::Fd file(::open(program.c_str(), O_PATH | O_CLOEXEC));
  const os::Fd self = os::watch(::getpid());
  const image::MapCall call{.socket_path = socket_.c_str(),
                            .exec_fd = file.get(),
                            .pidfd = self.get(),
                            .stack_limit = stack_limit,
                            .path = program.c_str(),
                            .timeout_ms = kPatienceMs};
  image::MappedImage mapped;
  const std::int64_t before = os::now_ns();
  const image::Refusal refusal = image::request_map(call, mapped);
  const std::int64_t after = os::now_ns();
  if (refusal == image::Refusal::none) {
    return GivenImage(mapped, static_cast<double>(after - before) / kNsPerUs);
  }
  return os::failed_with(0, "ask for an image:", std::string(image::refusal_sentence(refusal)));
}

}  // namespace prewarm::bench

// SPDX-License-Identifier: MIT
#include "image/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "image/service_state.h"
#include "os/clock.h"

namespace prewarm::image {
namespace {

constexpr int kEvents = 64;
constexpr unsigned kKindShift = 56;
// Memory that was waited for 200 ms of 2 s. Windows that are multiples of 2 s may be watched
// without privileges, since Linux 6.6. The kernel
// takes the last byte that is written for the end.
constexpr char kPressureTrigger[] = "some 200000 2000000";

}  // namespace

Service::Service(ServiceSocket& socket, ServiceOptions options, SpawnerClient spawner)
    : socket_(socket), options_(std::move(options)), spawner_(std::move(spawner)) {}

Service::~Service() = default;

os::Result<void> Service::prepare() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return os::failed("block signals");
  ::signal(SIGCHLD, SIG_IGN);  // helpers aren't waited for
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!signals_.valid() || !epoll_.valid()) return os::failed("watch signals");

  // Each process that uses an image takes a descriptor.
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  max_descriptors_ = limit.rlim_cur;

  struct statx root{};
  if (::statx(AT_FDCWD, "/", 0, STATX_INO | STATX_MNT_ID, &root) != 0)
    return os::failed("look at /");
  root_mount_ = root.stx_mnt_id;
  root_inode_ = root.stx_ino;

  auto watch = FileWatch::make(options_.watches);
  if (!watch) return std::unexpected(watch.error());
  watch_ = std::move(*watch);
  pressure_.reset(::open("/proc/pressure/memory", O_RDWR | O_CLOEXEC | O_NONBLOCK));
  if (pressure_.valid() &&
      ::write(pressure_.get(), kPressureTrigger, sizeof kPressureTrigger) < 0) {
    pressure_.reset();  // the bound on bytes has to do
  }
  const bool polled =
      add_to_poll(socket_.fd(), Kind::listener, 0, EPOLLIN) &&
      add_to_poll(signals_.get(), Kind::signals, 0, EPOLLIN) &&
      add_to_poll(watch_->fd(), Kind::files, 0, EPOLLIN) &&
      add_to_poll(spawner_.fd(), Kind::spawner, 0, EPOLLIN) &&
      (!pressure_.valid() || add_to_poll(pressure_.get(), Kind::pressure, 0, EPOLLPRI));
  if (!polled) return os::failed("wait for events");
  now_ = quiet_since_ = os::now_ns();
  return {};
}

os::Result<void> Service::run() {
  epoll_event events[kEvents];
  while (!is_done()) {
    // Wait for something to happen.
    const int ready = ::epoll_wait(epoll_.get(), events, kEvents, poll_timeout());
    if (ready < 0 && errno != EINTR) return os::failed("wait for requests");
    now_ = os::now_ns();

    for (int i = 0; i < ready; ++i) {
      const std::uint64_t data = events[i].data.u64;
      dispatch(static_cast<Kind>(data >> kKindShift), data & ((1ULL << kKindShift) - 1));
    }

    // Then what is due.
    close_doomed();
    end_late_helpers();
    release_old();
  }
  return {};
}

bool Service::add_to_poll(int fd, Kind kind, Id id, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = static_cast<std::uint64_t>(kind) << kKindShift | id;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

// What is due is looked at often enough, and not more often than anybody would notice.
int Service::poll_timeout() const {
  constexpr std::int64_t kMsPerSecond = 1000;
  if (!jobs_.empty()) return kMsPerSecond;
  if (!entries_.empty()) {
    return static_cast<int>(
        std::clamp<std::int64_t>(options_.unused_seconds * kMsPerSecond / 8, 50, 10'000));
  }
  if (options_.idle_seconds == 0 || !references_.empty() || !connections_.empty()) return -1;
  return static_cast<int>(std::min<std::int64_t>(options_.idle_seconds, 3600) * kMsPerSecond);
}

void Service::dispatch(Kind kind, Id id) {
  switch (kind) {
    case Kind::listener:
      return accept_connections();
    case Kind::signals:
      stopping_ = true;
      return;
    case Kind::files:
      return look_at_changes();
    case Kind::pressure:
      release_unused();
      return;
    case Kind::spawner:
      return take_built();
    case Kind::connection:
      return serve_connection(id);
    case Kind::reference:
      return drop_reference(id);
    case Kind::helper:
      return take_helper(id);
  }
}

void Service::accept_connections() {
  for (;;) {
    ServiceSocket::Accepted accepted = socket_.accept();
    if (!accepted.socket.valid()) {
      if (accepted.no_descriptors && make_room_for_connection()) continue;
      return;
    }
    if (connections_.size() >= kMaxConnections && !make_room_for_connection()) {
      continue;  // all of them wait for images; this one's end says that it can't
    }
    auto connection = std::make_unique<Connection>();
    connection->id = ++last_id_;
    connection->socket = std::move(accepted.socket);
    connection->used = now_;
    if (!accepted.is_same_user) connection->refused = Refusal::not_allowed;
    const Id id = connection->id;
    connections_.emplace(id, std::move(connection));
    serve_connection(id);  // the request mostly is there by now
  }
}

// Closes the connection that was quiet for longest.
bool Service::make_room_for_connection() {
  const Connection* oldest = nullptr;
  for (const auto& [id, connection] : connections_) {
    if (connection->waits_for != 0) continue;
    if (oldest == nullptr || connection->used < oldest->used) oldest = connection.get();
  }
  if (oldest == nullptr) return false;
  close_connection(oldest->id);
  return true;
}

void Service::serve_connection(Id id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = *found->second;
  Packet packet;
  constexpr std::size_t kMost = sizeof(MapRequest) + 2 * kMaxPathBytes;
  const Arrival arrival = receive_packet(connection.socket.get(), kMost, MSG_DONTWAIT, packet);
  bool stays = arrival == Arrival::nothing;
  if (arrival == Arrival::packet && connection.waits_for == 0) {
    connection.used = now_;
    stays = take_packet(connection, std::move(packet));
  }
  if (stays && !connection.polled) {
    stays = connection.polled = add_to_poll(connection.socket.get(), Kind::connection, id, EPOLLIN);
  }
  if (!stays) close_connection(id);
}

void Service::close_connection(Id id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  if (const auto job = jobs_.find(found->second->waits_for); job != jobs_.end()) {
    std::erase_if(job->second->waiters, [id](const Waiter& w) { return w.connection == id; });
  }
  connections_.erase(found);
}

// A process has ended.
void Service::drop_reference(Id id) {
  const auto found = references_.find(id);
  if (found == references_.end()) return;
  const auto entry = entries_.find(found->second.entry);
  if (entry != entries_.end()) {
    --entry->second->references;
    entry->second->used = now_;
  }
  references_.erase(found);
}

bool Service::has_descriptors(std::size_t more) const {
  return references_.size() + image_descriptors_ + more + kSpareDescriptors <= max_descriptors_;
}

bool Service::is_done() {
  const bool busy =
      !entries_.empty() || !references_.empty() || !jobs_.empty() || !connections_.empty();
  if (busy) quiet_since_ = now_;
  const bool is_idle = options_.idle_seconds > 0 && !busy &&
                       now_ - quiet_since_ >= options_.idle_seconds * os::kNsPerSecond;
  if (!stopping_ && !is_idle) return false;
  socket_.withdraw();
  if (stopping_) return true;
  // Whoever connected before that is still served.
  accept_connections();
  return connections_.empty();
}

}  // namespace prewarm::image

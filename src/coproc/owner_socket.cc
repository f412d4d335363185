// SPDX-License-Identifier: MIT
#include "coproc/owner_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "coproc/client.h"
#include "coproc/context.h"
#include "coproc/fanos.h"
#include "coproc/invocation.h"
#include "os/unix_address.h"

namespace prewarm::coproc {
namespace {

constexpr int kBacklog = 1024;

os::Result<os::Fd> lock(const std::string& directory) {
  const std::string path = directory + "/pool.lock";
  os::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return os::failed("open", path);
  int result;
  do {
    result = ::flock(fd.get(), LOCK_EX);
  } while (result != 0 && errno == EINTR);
  if (result != 0) return os::failed("lock", path);
  return fd;
}

ino_t inode_of(const std::string& path) {
  struct stat s;
  return ::lstat(path.c_str(), &s) == 0 ? s.st_ino : 0;
}

struct Refusal {
  const char* reason;
  const char* message;
};
constexpr Refusal kOtherUser{"user", "these pools belong to another user, who alone can use them"};
constexpr Refusal kOtherContext{
    "context",
    "the owner of the pools has another root, namespace, group, capability or seccomp filter"};
constexpr Refusal kNoDescriptors{"busy", "the owner of the pools has no more descriptors"};

os::Fd open_spare() { return os::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// As the answer to the first request, which is a client's `version`.
void turn_away(int socket, const Refusal& refusal) {
  const auto answer = Outcome::not_run(refusal.reason, refusal.message);
  if (const auto text = print_message(to_message(answer, 1))) {
    (void)PacketWriter(*text, {}).send(socket, MSG_DONTWAIT);  // or it isn't told
  }
}

// Null: the peer may be served.
const Refusal* check_peer(int socket, const std::string& own_context) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return &kOtherUser;
  if (peer.uid != ::geteuid()) {
    std::fprintf(stderr, "prewarm: refused a connection of user %u: these pools are of user %u\n",
                 static_cast<unsigned>(peer.uid), static_cast<unsigned>(::geteuid()));
    return &kOtherUser;
  }
  // A pid that can't be seen from here is 0.
  const std::string context = context_of(peer.pid);
  return context.empty() || context != own_context ? &kOtherContext : nullptr;
}

}  // namespace

std::string pool_socket_path(const std::string& directory) { return directory + "/pool.sock"; }

os::Result<std::optional<OwnerSocket>> OwnerSocket::listen(const std::string& directory) {
  const std::string path = pool_socket_path(directory);
  const auto locked = lock(directory);
  if (!locked) return std::unexpected(locked.error());
  if (Client::connect(path)) return std::nullopt;
  const auto address = os::UnixAddress::of(path);
  if (!address) return os::failed_with(ENAMETOOLONG, "listen at", path);
  os::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return os::failed("make a socket");
  ::unlink(path.c_str());  // of an owner that was killed
  if (::bind(listener.get(), address->get(), address->size()) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(listener.get(), kBacklog) != 0) {
    return os::failed("listen at", path);
  }
  OwnerSocket made(std::move(listener), directory, path, inode_of(path));
  made.spare_ = open_spare();
  return made;
}

OwnerSocket::~OwnerSocket() { withdraw(); }

os::Fd OwnerSocket::accept_one() {
  return os::Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
}

std::optional<os::Fd> OwnerSocket::accept() {
  for (;;) {
    os::Fd socket = accept_one();
    if (!socket.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if ((errno != EMFILE && errno != ENFILE) || !spare_.valid()) return {};
      // Not taken it would wait, and be seen by poll(2) again and again.
      spare_.reset();
      socket = accept_one();
      if (socket.valid()) turn_away(socket.get(), kNoDescriptors);
      socket.reset();
      spare_ = open_spare();
      return {};
    }
    const Refusal* refusal = check_peer(socket.get(), context_);
    if (refusal == nullptr) return socket;
    turn_away(socket.get(), *refusal);
  }
}

void OwnerSocket::withdraw() {
  if (path_.empty() || !listener_.valid()) return;
  const auto locked = lock(directory_);
  // If somebody had removed it, another owner may have one there now.
  if (locked && inode_of(path_) == inode_) ::unlink(path_.c_str());
  path_.clear();
}

}  // namespace prewarm::coproc

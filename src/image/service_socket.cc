// SPDX-License-Identifier: MIT
#include "image/service_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "image/wire.h"
#include "os/unix_address.h"

namespace prewarm::image {
namespace {

constexpr int kBacklog = 1024;
constexpr int kFirstPassed = 3;  // SD_LISTEN_FDS_START

bool lock(const os::Fd& file, int how) {
  int result;
  do {
    result = ::flock(file.get(), how);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

ino_t inode_of(const std::string& path) {
  struct stat s;
  return ::lstat(path.c_str(), &s) == 0 ? s.st_ino : 0;
}

bool has_option(int fd, int option, int wanted) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

// What was passed on is for this process alone.
os::Result<os::Fd> passed_socket() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  const bool is_ours = pid != nullptr && count != nullptr && std::atoi(pid) == ::getpid();
  const int passed = is_ours ? std::atoi(count) : 0;
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  if (passed == 0) return os::Fd();
  os::Fd socket(kFirstPassed);
  if (passed != 1 || !has_option(socket.get(), SO_DOMAIN, AF_UNIX) ||
      !has_option(socket.get(), SO_TYPE, SOCK_SEQPACKET) ||
      !has_option(socket.get(), SO_ACCEPTCONN, 1) ||
      ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0 ||
      ::fcntl(socket.get(), F_SETFL, O_NONBLOCK) != 0) {
    return os::failed_with(EINVAL, "use what LISTEN_FDS passes on",
                           "(it must be one listening SOCK_SEQPACKET socket)");
  }
  return socket;
}

os::Result<os::UnixAddress> address_of(const std::string& path) {
  const auto address = os::UnixAddress::of(path);
  if (!address) return os::failed_with(ENAMETOOLONG, "use the socket", path);
  return *address;
}

bool peer_is_same_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         peer.uid == ::geteuid();
}

}  // namespace

os::Result<os::Fd> connect_to_service(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return std::unexpected(address.error());
  os::Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return os::failed("make a socket");
  if (::connect(socket.get(), address->get(), address->size()) != 0) {
    return os::failed("connect to", path);
  }
  if (!peer_is_same_user(socket.get())) return os::failed_with(EPERM, "use another user's", path);
  if (::fcntl(socket.get(), F_SETFL, 0) != 0) return os::failed("set up", path);
  return socket;
}

os::Result<std::optional<ServiceSocket>> ServiceSocket::listen(const std::string& directory) {
  auto passed = passed_socket();
  if (!passed) return std::unexpected(passed.error());
  if (passed->valid()) return ServiceSocket(std::move(*passed), os::Fd(), {}, 0);

  const std::string lock_path = directory + "/image.lock";
  os::Fd locked(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!locked.valid() || !lock(locked, LOCK_EX)) return os::failed("lock", lock_path);
  const std::string path = directory + kServiceSocketName;
  // One that only is too busy to be connected to is there, too.
  const auto other = connect_to_service(path);
  if (other || other.error().code == EAGAIN) return std::nullopt;
  const auto address = address_of(path);
  if (!address) return std::unexpected(address.error());
  os::Fd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return os::failed("make a socket");
  ::unlink(path.c_str());  // of a service that was killed
  if (::bind(listener.get(), address->get(), address->size()) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(listener.get(), kBacklog) != 0) {
    return os::failed("listen at", path);
  }
  lock(locked, LOCK_UN);
  return ServiceSocket(std::move(listener), std::move(locked), path, inode_of(path));
}

ServiceSocket::~ServiceSocket() { withdraw(); }

ServiceSocket::Accepted ServiceSocket::accept() {
  for (;;) {
    os::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.valid()) {
      const bool is_same = peer_is_same_user(socket.get());
      return {std::move(socket), is_same, false};
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    return {os::Fd(), false, errno == EMFILE || errno == ENFILE};
  }
}

void ServiceSocket::withdraw() {
  if (path_.empty() || !listener_.valid()) return;
  lock(lock_, LOCK_EX);
  // If somebody had removed it, another service may have one there now.
  if (inode_of(path_) == inode_) ::unlink(path_.c_str());
  lock(lock_, LOCK_UN);
  path_.clear();
}

}  // namespace prewarm::image

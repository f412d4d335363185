// SPDX-License-Identifier: MIT
#include "coproc/owner_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "coproc/client.h"
#include "coproc/fanos.h"
#include "coproc/invocation.h"
#include "coproc/runtime_directory.h"

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

void turn_away(int socket, uid_t uid) {
  std::fprintf(stderr, "prewarm: refused a connection of user %u: these pools are of user %u\n",
               static_cast<unsigned>(uid), static_cast<unsigned>(::geteuid()));
  const auto answer =
      Outcome::not_run("user", "these pools belong to another user, who alone can use them");
  if (const auto text = print_message(to_message(answer, 0))) {
    PacketWriter(*text, {}).send(socket, MSG_DONTWAIT);
  }
}

}  // namespace

os::Result<std::optional<OwnerSocket>> OwnerSocket::listen(const std::string& directory) {
  const std::string path = pool_socket_path(directory);
  const auto locked = lock(directory);
  if (!locked) return std::unexpected(locked.error());
  if (Client::connect(path)) return std::nullopt;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return os::failed_with(ENAMETOOLONG, "listen at", path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  os::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return os::failed("make a socket");
  ::unlink(path.c_str());  // of an owner that was killed
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(listener.get(), kBacklog) != 0) {
    return os::failed("listen at", path);
  }
  return OwnerSocket(std::move(listener), directory, path, inode_of(path));
}

OwnerSocket::~OwnerSocket() { withdraw(); }

std::optional<os::Fd> OwnerSocket::accept() {
  for (;;) {
    os::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return {};
    }
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
        peer.uid == ::geteuid()) {
      return socket;
    }
    turn_away(socket.get(), peer.uid);
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

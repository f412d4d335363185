// SPDX-License-Identifier: MIT
//
// The socket at which a user's loader service listens (SOCK_SEQPACKET, mode 0600). It is made by
// systemd, or by the service itself; then there is one service at a time: whoever starts or ends
// does that under a lock.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "os/fd.h"
#include "os/result.h"

namespace prewarm::image {

class ServiceSocket {
 public:
  // What systemd has passed (sd_listen_fds(3)), else one in `directory`, see os::runtime_directory.
  // Nothing: somebody else listens there.
  static os::Result<std::optional<ServiceSocket>> listen(const std::string& directory);

  ServiceSocket(ServiceSocket&&) = default;
  ServiceSocket& operator=(ServiceSocket&&) = default;
  ~ServiceSocket();

  int fd() const { return listener_.get(); }
  bool is_activated() const { return path_.empty(); }

  struct Accepted {
    os::Fd socket;  // not valid: there is nobody now
    bool is_same_user = false;
    bool no_descriptors = false;  // somebody waits, but can't be taken
  };
  Accepted accept();

  // From now on others find no socket here, and one of them can become the service. Who connected
  // before that can still be accepted. Does nothing to a socket of systemd's.
  void withdraw();

 private:
  ServiceSocket(os::Fd listener, os::Fd lock, std::string path, ino_t inode)
      : listener_(std::move(listener)),
        lock_(std::move(lock)),
        path_(std::move(path)),
        inode_(inode) {}

  os::Fd listener_;
  os::Fd lock_;  // its file; locked only for moments
  std::string path_;
  ino_t inode_ = 0;  // of the socket's name
};

// Connects to a service's socket, which must be this user's. Does not wait.
os::Result<os::Fd> connect_to_service(const std::string& path);

}  // namespace prewarm::image

// SPDX-License-Identifier: MIT
//
// The socket at which a user's owner of pools listens. There is one owner at a time: whoever starts
// or ends does that under a lock.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "coproc/context.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm::coproc {

// The socket of the owner of this user's pools, in os::runtime_directory.
std::string pool_socket_path(const std::string& directory);

class OwnerSocket {
 public:
  // In `directory`, see os::runtime_directory. Nothing: somebody else listens there.
  static os::Result<std::optional<OwnerSocket>> listen(const std::string& directory);

  OwnerSocket(OwnerSocket&&) = default;
  OwnerSocket& operator=(OwnerSocket&&) = default;
  ~OwnerSocket();

  int fd() const { return listener_.get(); }
  const std::string& path() const { return path_; }
  // The next connection of this user's and of this context (coproc/context.h); others are answered
  // and closed, those of other users said on standard error, too. Nothing: there is none now.
  std::optional<os::Fd> accept();
  // From now on others find no socket here, and one of them can become the owner. Connections that
  // were made before can still be accepted.
  void withdraw();

 private:
  OwnerSocket(os::Fd listener, std::string directory, std::string path, ino_t inode)
      : listener_(std::move(listener)),
        directory_(std::move(directory)),
        path_(std::move(path)),
        inode_(inode),
        context_(context_of(::getpid())) {}

  os::Fd accept_one();

  os::Fd listener_;
  os::Fd spare_;  // what a connection is answered with when there are no more descriptors
  std::string directory_;
  std::string path_;
  ino_t inode_ = 0;      // of the socket's name
  std::string context_;  // this process's
};

}  // namespace prewarm::coproc

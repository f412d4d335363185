// SPDX-License-Identifier: MIT
//
// A worker process, and the connection to it (docs/protocol/capers.md, Starting a worker). Whoever
// holds one can wait for answers (`client`), or poll.
#pragma once

#include <signal.h>
#include <sys/resource.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coproc/client.h"
#include "os/fd.h"
#include "os/result.h"
#include "prewarm/process.h"

namespace prewarm::coproc {

class Worker {
 public:
  // Starts `command` (absolute path, arguments) in a session of its own. It has not been greeted.
  // `descriptors`: its soft limit of descriptors, if that isn't to be this process's.
  static os::Result<std::unique_ptr<Worker>> start(const std::vector<std::string>& command,
                                                   const std::vector<std::string>& environment,
                                                   const std::string& directory,
                                                   std::optional<rlim_t> descriptors = {});

  Client& client() { return client_; }
  Process& process() { return process_; }
  pid_t pid() const { return process_.pid(); }
  int pidfd() const { return process_.pidfd(); }

  // To the worker's process group.
  void kill(int number);
  // No more requests: it sees the end of file, and exits.
  void dismiss();

  // What it writes to its standard error between requests; to be read when readable, so that it
  // never waits for us. -1: it has closed it.
  int errors_fd() const { return errors_.get(); }
  void read_errors();
  // The last of it, for messages to people.
  const std::string& last_words() const { return last_words_; }

  // Of its process and the children of that, as an adapter is small and its tool may not be. Pages
  // that several of them share count for each.
  std::uint64_t resident_kib() const;

 private:
  Worker(Client client, Process process, os::Fd errors)
      : client_(std::move(client)), process_(std::move(process)), errors_(std::move(errors)) {}

  Client client_;
  Process process_;
  os::Fd errors_;
  std::string last_words_;
};

}  // namespace prewarm::coproc

// SPDX-License-Identifier: GPL-3.0-or-later
//
// Discovery: which external commands a script names, found by bash's own parser. It happens in a
// separate `bash -n`, so that nothing of it (a parse error, an alias) can touch the shell that runs
// the script.
#pragma once

#include <string>

#include "cold/host_task.h"
#include "launch/scan_table.h"
#include "os/fd.h"

namespace prewarm::bash {

// In the looking bash: hook the parser and report to the table behind descriptor `fd`.
bool look(int fd);

// In the shell that runs the script: one look, in the background.
class Look {
 public:
  // Starts it. `loadable` is this loadable's file. The child is `pid`, to be waited for by whoever
  // waits for children.
  bool start(const std::string& script, const std::string& loadable, int floor);
  pid_t pid() const { return pid_; }
  // Null until start.
  const launch::ScanTable* table() const { return table_; }
  ~Look();

 private:
  launch::ScanTable* table_ = nullptr;
  cold::HostTask task_;
  pid_t pid_ = 0;
};

}  // namespace prewarm::bash

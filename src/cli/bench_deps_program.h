// SPDX-License-Identifier: MIT
//
// A running program of `prewarm bench deps`, which waits in its main until it may go on.
#pragma once

#include <string>
#include <string_view>

#include "cli/bench_deps_ways.h"
#include "os/fd.h"
#include "os/result.h"
#include "prewarm/process.h"

namespace prewarm::cli {

// Of one process; KiB, as the kernel counts them.
struct DepsMemory {
  double mappings = 0;
  bool from_image = false;  // some of it lies where images are
  double rss = 0;
  double pss = 0;
  double private_part = 0;  // of rss: nobody else has it
  double page_tables = 0;
};

class DepsProgram {
 public:
  // With `speaks` it will print its checksum, and its errors are kept.
  static os::Result<DepsProgram> start(const DepsStart& how, bool speaks);

  // Waits until it is in main: µs from just before the process was made until then.
  os::Result<double> await_main();
  // µs for which it has had a processor; 0 if the kernel doesn't count that.
  double processor_us() const;
  os::Result<DepsMemory> memory() const;
  // Lets it go on to its end; what it has printed.
  os::Result<std::string> finish();

 private:
  DepsProgram(Process process, os::Fd clock, os::Fd hold, std::int64_t began_ns)
      : process_(std::move(process)),
        clock_(std::move(clock)),
        hold_(std::move(hold)),
        began_ns_(began_ns) {}

  Process process_;
  os::Fd clock_;
  os::Fd hold_;  // it waits until this is closed
  std::int64_t began_ns_;
};

}  // namespace prewarm::cli

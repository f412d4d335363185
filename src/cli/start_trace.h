// SPDX-License-Identifier: MIT
//
// How long a program's start takes, step by step: it is traced, stopped at a few addresses by the
// processor's debug registers, and killed before its `main` does anything. Times are less the time
// that a stop itself takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "os/result.h"

namespace prewarm::cli {

// Where to stop.
struct StartPlaces {
  std::uint64_t linked_in_loader = 0;  // of ld.so, from its base: all is linked
  std::uint64_t image_linked = 0;      // the same place in the image
  std::uint64_t image_entry = 0;       // the program's own start, in the image
  std::optional<std::int64_t> main;    // from the program's start; nothing: it isn't known
};

// Of one start, in µs.
struct StartTrace {
  double exec = 0;          // the kernel's exec
  double asking = 0;        // `prewarm exec`, and the exec of the program
  double linking = 0;       // ld.so; or the restorer
  double constructors = 0;  // of libraries
  double rest = 0;          // until main, the program's own constructors included; 0: not known
  double total() const { return exec + asking + linking + constructors + rest; }
};

// How ld.so's time is divided, as shares of it.
struct LoaderShares {
  double search = 0;      // finding, opening and reading files
  double mapping = 0;     // mapping them
  double relocation = 0;  // finding symbols and writing their addresses
  double rest() const { return 1 - search - mapping - relocation; }
};

// Where `main` is; nothing: the program doesn't begin as those of glibc do.
os::Result<std::optional<std::int64_t>> find_main(const std::string& program);

os::Result<StartTrace> trace_stock(const std::string& program, const StartPlaces& places);
// By `prewarm exec` and the loader service, which must have the image.
os::Result<StartTrace> trace_imaged(const std::string& prewarm, const std::string& program,
                                    const StartPlaces& places);

// By ld.so's own statistics (LD_DEBUG), and by its system calls.
os::Result<LoaderShares> loader_shares(const std::string& program, const StartPlaces& places);

}  // namespace prewarm::cli

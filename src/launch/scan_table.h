// SPDX-License-Identifier: MIT
//
// What a look at a script's text found, in memory shared between the bash that looks (`bash -n`
// with the loadable preloaded) and whoever asked for it: the shell that runs the script, or
// `prewarm plan`. The looking bash appends entries and then says that it is done.
#pragma once

#include <atomic>
#include <cstdint>

namespace prewarm::launch {

enum ScanFlags : std::uint32_t {
  kScanLoop = 1,        // inside a loop
  kScanFunction = 2,    // inside a function's body
  kScanSubshell = 4,    // in a pipeline, ( ) or $( )
  kScanBackground = 8,  // started with &
};

struct ScanEntry {
  char name[64];        // as written in the script
  char path[188];       // where PATH leads now; empty: nowhere
  std::uint32_t count;  // how often it is written
  std::uint32_t flags;  // of any of these places
};

struct ScanTable {
  static constexpr unsigned kMaxEntries = 256;
  std::atomic<std::uint32_t> count;  // entries that are complete
  std::atomic<std::uint32_t> done;
  std::uint32_t variable_names;  // commands whose name is only known at run time
  ScanEntry entries[kMaxEntries];
};

// The looking bash finds the descriptor of the table's memory here.
inline constexpr char kScanVariable[] = "PREWARM_SCAN";

}  // namespace prewarm::launch

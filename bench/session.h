// SPDX-License-Identifier: MIT
//
// What all cases share in one run of the program, and the way that all of them measure: variants
// by turns, round by round.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/measured.h"
#include "bench/process.h"

namespace prewarm::bench {

struct Options {
  std::string prewarm;    // the command, absolute
  std::string directory;  // of this program and its helpers
  unsigned rounds = 15;
  bool quick = false;  // only show that everything works
};

// One line on a terminal's stderr that says what is going on; nothing if it is not a terminal.
class Progress {
 public:
  Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  void begin_case(const std::string& label) { label_ = label; }
  void show(const std::string& what);
  void clear();

 private:
  bool terminal_;
  std::string label_;
};

struct Session {
  Options options;
  Processes& processes;
  Progress& progress;
  std::string scratch;  // a directory of this case's own

  // This process's environment without what would change how a shell starts, with `cache`, below
  // `scratch`, as the user's cache directory.
  std::vector<std::string> environment(const std::string& cache) const;
  // Writes a script of this case's own; its path.
  os::Result<std::string> script(const std::string& name, const std::string& text) const;
  std::string scratch_path(const std::string& name) const { return scratch + "/" + name; }
};

struct Variant {
  std::string name;
  // One sample of each metric, in µs.
  std::function<os::Result<std::vector<double>>()> measure;
};

struct Plan {
  std::vector<std::string> metrics;
  std::string sample;  // see Measured
  std::string note;    // see Measured
  std::vector<Variant> variants;
  unsigned rounds = 0;
  bool warm_up = false;  // a round before, not counted
};

// Takes every variant once in each round, in turn forwards and backwards, so that what drifts
// meanwhile meets all of them alike.
os::Result<Measured> interleave(const Session& session, const Plan& plan);

// Path of a program, looked up on PATH unless it is one already; empty if there is none.
std::string find_program(const std::string& name);

}  // namespace prewarm::bench

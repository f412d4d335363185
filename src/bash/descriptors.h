// SPDX-License-Identifier: GPL-3.0-or-later
//
// Which descriptors of the shell a program that it execs would inherit.
#pragma once

#include <vector>

namespace prewarm::bash {

class Descriptors {
 public:
  // Looks once at everything that is open; call it before anything else.
  void start();
  // The shell has a descriptor at `fd`.
  void note_number(int fd) {
    if (fd >= kScanned) high_ = true;
    if (fd >= kLow && fd < kTop) middle_ = true;
  }
  // All open descriptors without close-on-exec, ascending. False: more than can be told.
  bool inheritable(std::vector<int>& out);

 private:
  // The kernel gives numbers from the lowest on; bash takes 10 and what follows for copies, and
  // goes down from 255 for what it reads scripts from (move_to_high_fd).
  static constexpr int kScanned = 256;
  static constexpr int kLow = 64;
  static constexpr int kTop = 224;
  bool scan_low(std::vector<int>& out);
  bool scan_all(std::vector<int>& out);

  bool middle_ = false;  // something may be open from kLow on and below kTop
  bool high_ = false;    // something may be open at kScanned or above
};

}  // namespace prewarm::bash

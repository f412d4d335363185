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
  // The shell has put a descriptor at `fd` by number.
  void note_number(int fd) {
    if (fd >= kScanned) high_ = true;
  }
  // All open descriptors without close-on-exec, ascending. False: more than can be told.
  bool inheritable(std::vector<int>& out);

 private:
  static constexpr int kScanned = 256;
  bool scan_low(std::vector<int>& out);
  bool scan_all(std::vector<int>& out);

  bool high_ = false;  // something may be open at kScanned or above
};

}  // namespace prewarm::bash

// SPDX-License-Identifier: MIT
//
// How the system's compiler would link, so that its linker can be run thousands of times without
// it: that is twice as fast.
#pragma once

#include <string>
#include <vector>

#include "os/result.h"

namespace prewarm::cli {

// The linker's arguments as the compiler makes them, with two places left open.
class DepsLinkLine {
 public:
  // Asks `compiler` how it links with `flags` ("-shared").
  static os::Result<DepsLinkLine> ask(const std::string& compiler,
                                      const std::vector<std::string>& flags);
  // The same from what a compiler prints for -###. Empty: it isn't in there.
  static std::vector<std::string> parse(const std::string& text);

  // The linker, and all of its arguments.
  std::vector<std::string> words(const std::string& output,
                                 const std::vector<std::string>& inputs) const;

 private:
  std::string linker_;
  std::vector<std::string> words_;
};

}  // namespace prewarm::cli

// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

namespace prewarm::cli {

struct CallOptions {
  unsigned pool = 0;  // workers at most; 0: as declared
  std::string affinity;
  double timeout = 0;  // seconds; 0: none
  std::string preload;
  std::string declarations;
  bool batch = true;     // --no-batch: only by a worker
  bool explain = false;  // say how it was served
  bool each = false;     // once for each argument that standard input has
  bool null_ends = false;
  unsigned jobs = 0;  // of --each, at a time; 0: as many as there are workers
  bool progress = false;
  std::vector<std::string> command;  // the tool and its arguments
};

int call(const CallOptions& options);

}  // namespace prewarm::cli

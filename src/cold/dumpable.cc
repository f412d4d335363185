// SPDX-License-Identifier: MIT
#include "cold/dumpable.h"

#include <sys/prctl.h>

#include <mutex>

namespace prewarm::cold {
namespace {

// Of the process, like the attribute: all its rings count together.
struct {
  std::mutex mutex;
  unsigned tasks = 0;
  bool was_dumpable = false;
} state;

}  // namespace

void identity_begins() {
  const std::lock_guard lock(state.mutex);
  if (state.tasks++ == 0) state.was_dumpable = ::prctl(PR_GET_DUMPABLE) == 1;
}

void identity_ends() {
  const std::lock_guard lock(state.mutex);
  if (--state.tasks == 0 && state.was_dumpable) ::prctl(PR_SET_DUMPABLE, 1);
}

}  // namespace prewarm::cold

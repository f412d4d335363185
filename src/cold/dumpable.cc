// SPDX-License-Identifier: MIT
#include "cold/dumpable.h"

#include <pthread.h>
#include <sys/prctl.h>

namespace prewarm::cold {
namespace {

// Of the process, like the attribute: all its rings count together.
struct {
  // Not std::mutex, which needs the C++ library: this is part of libprewarm-spawn.so.
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  unsigned tasks = 0;
  bool was_dumpable = false;
} state;

class Locked {
 public:
  Locked() { ::pthread_mutex_lock(&state.mutex); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;
  ~Locked() { ::pthread_mutex_unlock(&state.mutex); }
};

}  // namespace

void identity_begins() {
  const Locked lock;
  if (state.tasks++ == 0) state.was_dumpable = ::prctl(PR_GET_DUMPABLE) == 1;
}

void identity_ends() {
  const Locked lock;
  if (--state.tasks == 0 && state.was_dumpable) ::prctl(PR_SET_DUMPABLE, 1);
}

}  // namespace prewarm::cold

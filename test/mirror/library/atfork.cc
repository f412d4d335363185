// SPDX-License-Identifier: MIT
//
// A library that seeds a generator before main, and knows about forks: the pattern of libraries
// which a clone would otherwise make repeat their random numbers.
#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>

#include "report.h"

namespace {

std::uint64_t seed;
pid_t seeded_by;  // 0: by the constructor. It doesn't ask: who does isn't cloned
int child_handler_runs;

void make_seed() {
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = 0;
}

void in_child() {
  ++child_handler_runs;
  make_seed();
  seeded_by = getpid();
}

[[gnu::constructor]] void start() {
  make_seed();
  pthread_atfork(nullptr, nullptr, in_child);
}

}  // namespace

extern "C" void mirror_library_report(void (*add)(void* to, const char* key, const char* value),
                                      void* to) {
  char text[32];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(seed));
  add(to, "seed", text);
  add(to, "seeded_by_this_process", seeded_by == 0 || seeded_by == getpid() ? "yes" : "no");
  std::snprintf(text, sizeof text, "%d", child_handler_runs);
  add(to, "child_handler_runs", text);
}

// SPDX-License-Identifier: MIT
//
// For tests only: rings of every kind, and what came of the chains in them.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "prewarm/spawn.h"

namespace prewarm::cold {

struct RingKind {
  Backend backend;
  bool own_task;

  std::string name() const {
    return std::string(backend_name(backend)) + (own_task ? "" : ", without a task of its own");
  }
  Result<SpawnRing> make(unsigned entries = 256) const {
    RingOptions options;
    options.entries = entries;
    options.backend = backend;
    options.own_task = own_task;
    return SpawnRing::create(options);
  }
};

inline constexpr RingKind kRingKinds[] = {
    {Backend::shared_memory, true}, {Backend::shared_memory, false}, {Backend::vfork, true},
    {Backend::vfork, false},        {Backend::fork, true},           {Backend::fork, false},
    {Backend::posix_spawn, true},   {Backend::posix_spawn, false},   {Backend::automatic, true},
    {Backend::automatic, false},
};

// Takes completions until nothing is outstanding.
inline std::vector<Completion> finish(SpawnRing& ring) {
  std::vector<Completion> all;
  while (ring.outstanding() != 0) {
    Completion some[16];
    const auto count = ring.wait(some);
    if (!count) continue;  // a signal handler ran
    for (unsigned i = 0; i < *count; ++i) all.push_back(std::move(some[i]));
  }
  return all;
}

// The one with this user data; there must be exactly one.
inline const Completion& completion_of(const std::vector<Completion>& all,
                                       std::uint64_t user_data) {
  static const Completion none{.user_data = 0, .result = -1000, .code = {}, .pidfd = Fd()};
  const Completion* found = nullptr;
  for (const Completion& c : all) {
    if (c.user_data != user_data) continue;
    EXPECT_EQ(found, nullptr) << "two completions of " << user_data;
    found = &c;
  }
  EXPECT_NE(found, nullptr) << "no completion of " << user_data;
  return found == nullptr ? none : *found;
}

}  // namespace prewarm::cold

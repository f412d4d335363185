// SPDX-License-Identifier: MIT
//
// For tests only: posix_spawn by us and by the C library, and what a program sees that they start.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <string>
#include <vector>

#include "os/testing.h"
#include "prewarm/posix_spawn.h"

namespace prewarm::cold {

struct Implementation {
  const char* name;
  decltype(&::posix_spawn) spawn;
  decltype(&::posix_spawnp) spawnp;
};
inline const Implementation kLibc{"CLibrary", ::posix_spawn, ::posix_spawnp};
inline const Implementation kOurs{"Prewarm", prewarm_posix_spawn, prewarm_posix_spawnp};

inline void PrintTo(const Implementation& implementation, std::ostream* out) {
  *out << implementation.name;
}

// The two objects of a call, initialised.
struct Objects {
  Objects() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  Objects(const Objects&) = delete;
  Objects& operator=(const Objects&) = delete;
  ~Objects() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }

  void flags(int wanted) { posix_spawnattr_setflags(&attributes, static_cast<short>(wanted)); }

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

// A null-terminated array of pointers to strings, as execve takes it.
class Strings {
 public:
  Strings(std::initializer_list<std::string> strings) : strings_(strings) {
    for (std::string& string : strings_) pointers_.push_back(string.data());
    pointers_.push_back(nullptr);
  }
  Strings(const Strings&) = delete;
  Strings& operator=(const Strings&) = delete;

  char* const* get() const { return pointers_.data(); }

 private:
  std::vector<std::string> strings_;
  std::vector<char*> pointers_;
};

inline sigset_t signals(std::initializer_list<int> wanted) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : wanted) sigaddset(&set, signal);
  return set;
}

// What *pid has before a call, and after one that failed.
inline constexpr pid_t kUntouched = -77;

// The result of a call, and what the program reported (testing/state.cc); empty if there was none.
struct Observed {
  int error = 0;
  pid_t pid = kUntouched;
  std::string state;

  bool has(const std::string& line) const {
    return ("\n" + state).find("\n" + line + "\n") != std::string::npos;
  }
  bool mentions(const std::string& part) const { return state.find(part) != std::string::npos; }
};

// Starts the reporting program, and waits for it.
inline Observed observe(const Implementation& by, const Objects& objects,
                        const std::string& report) {
  Observed observed;
  ::unlink(report.c_str());
  const Strings argv{"state", report};
  const Strings env{"A=1", "B="};
  observed.error = by.spawn(&observed.pid, PREWARM_TEST_STATE, &objects.actions,
                            &objects.attributes, argv.get(), env.get());
  if (observed.error != 0) return observed;
  EXPECT_EQ(os::wait_for(observed.pid), 0);
  observed.state = os::read_file(report);
  return observed;
}

}  // namespace prewarm::cold

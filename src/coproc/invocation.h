// SPDX-License-Identifier: MIT
//
// What the messages `argv`, `status` and `error` say (docs/protocol/messages.md), as structures.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "coproc/message.h"

namespace prewarm::coproc {

// As the protocol has it: "0022".
std::string umask_text(mode_t mask);

// A request to run a tool once. What is called optional has an empty value if it isn't there.
struct Invocation {
  std::vector<std::string> arguments;  // at least the name
  std::optional<std::string> directory;
  std::optional<mode_t> umask;
  bool clear_environment = false;
  std::vector<std::string> environment;  // "NAME=VALUE"

  // FCLI: paths of the streams.
  std::string in;
  std::string out;
  std::string err;

  // For the owner of pools (docs/protocol/capers.md, Servers); all optional.
  std::string program;
  std::string affinity;
  std::string declarations;
  std::string preload;
  unsigned workers = 0;
  std::optional<std::chrono::milliseconds> timeout;

  // The value of a variable of `environment`; null: it isn't among them.
  const char* variable(std::string_view name) const;
};

// How a request has ended.
struct Outcome {
  enum class Kind : std::uint8_t { exited, killed, not_run };
  struct Usage {
    std::uint64_t user_us = 0;
    std::uint64_t system_us = 0;
    std::uint64_t max_rss_kib = 0;
  };

  Kind kind = Kind::not_run;
  int value = 0;          // exit status, or number of the signal
  std::string reason{};   // name, see messages.md; empty: none
  std::string message{};  // for people
  std::optional<Usage> usage{};
  bool retire = false;

  static Outcome exited(int status) { return {.kind = Kind::exited, .value = status}; }
  static Outcome not_run(std::string reason, std::string message) {
    return {.kind = Kind::not_run, .reason = std::move(reason), .message = std::move(message)};
  }
  // What waitpid(2) says.
  static Outcome of_wait_status(int status);
  bool was_run() const { return kind != Kind::not_run; }
};

inline constexpr int kDeadlineStatus = 124;  // as timeout(1) has it
inline constexpr int kFailedStatus = 125;    // prewarm's own failure, as env(1) and others have it

Message to_message(const Invocation& invocation, std::uint32_t id);
Message to_message(const Outcome& outcome, std::uint32_t id);

// An error says, for people, what is wrong with the message.
std::expected<Invocation, std::string> invocation_of(const Message& message);
// Of a `status` or an `error`.
std::expected<Outcome, std::string> outcome_of(const Message& message);

// What a worker answered to `version`.
struct Greeting {
  std::string implementation;
  unsigned concurrent = 1;
  bool takes_signals = false;
  bool fresh = false;
};
inline constexpr unsigned kMaxConcurrent = 1024;

Message version_request(std::uint32_t id);
Message to_message(const Greeting& greeting, std::uint32_t id);
std::expected<Greeting, std::string> greeting_of(const Message& message);
// Whether a `version` request names ours.
bool has_our_version(const Message& request);

}  // namespace prewarm::coproc

// SPDX-License-Identifier: MIT
//
// A child process that answers questions in lines, until it is destroyed.
#pragma once

#include <string>
#include <vector>

#include "bench/process.h"

namespace prewarm::bench {

class Conversation {
 public:
  // `processes` must outlive the conversation.
  static os::Result<Conversation> start(Processes& processes, const Command& command);
  Conversation(Conversation&& other) noexcept;
  Conversation& operator=(Conversation&&) = delete;
  ~Conversation();

  // Sends `question` and a newline; waits for `count` lines of answer, as long as the command's
  // limit.
  os::Result<std::vector<std::string>> ask(const std::string& question, std::size_t count);

 private:
  explicit Conversation(Processes& processes) : processes_(&processes) {}
  os::Result<std::string> read_line();
  std::unexpected<os::Error> ended();

  Processes* processes_;
  std::string name_;
  std::chrono::seconds limit_{};
  pid_t pid_ = 0;  // also its process group; 0 once it was waited for
  os::Fd channel_;
  os::Fd errors_;
  std::string unread_;
};

}  // namespace prewarm::bench

// SPDX-License-Identifier: MIT
//
// A Command's description as a chain of operations, and what the chain's completions mean. Makes no
// system call.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cold/command_description.h"
#include "prewarm/result.h"
#include "prewarm/spawn.h"

namespace prewarm::cold {

// What the caller's side has to add.
struct CommandContext {
  char* const* environment;                  // the caller's
  std::array<bool, 3> open{};                // which of its own streams are
  std::array<int, 3> pipe_ends{-1, -1, -1};  // the program's ends, of streams that are pipes
};

class CommandChain {
 public:
  // The description must stay as it is while the chain is used.
  CommandChain(const CommandDescription& description, const CommandContext& context);
  CommandChain(const CommandChain&) = delete;  // operations point into it
  CommandChain& operator=(const CommandChain&) = delete;

  // Linked, and each with its index as user data.
  std::span<const Operation> operations() const { return operations_; }

  // `results` has one for each operation. Nothing: the program runs.
  std::optional<Error> error(std::span<const int> results) const;

 private:
  void add(Operation operation, std::string subject = {});
  void add_signals(Signals how);
  void add_descriptors(const CommandContext& context);
  void add_setup();
  void add_exec();
  void make_environment(char* const* of_caller);
  const char* find_variable(std::string_view name) const;
  Error search_error(std::span<const int> results) const;

  const CommandDescription& description_;
  std::vector<Operation> operations_;
  std::vector<std::string> subjects_;  // of operations, for errors
  int first_lent_ = 0;                 // number of the first descriptor that only the set-up has
  std::size_t first_exec_ = 0;
  bool searched_ = false;  // execs are places along PATH

  // What operations point to.
  std::vector<char*> argv_;
  std::vector<std::string> variables_;
  std::vector<char*> env_;
  std::vector<std::string> places_;
  std::vector<Inherited> map_;
};

// Under which names a program is tried: along `path` (null: the usual), or just its own if it has a
// slash.
std::vector<std::string> search_places(const std::string& name, const char* path);

}  // namespace prewarm::cold

// SPDX-License-Identifier: MIT
#include "cold/command_chain.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cold/path_search.h"
#include "cold/plan.h"

namespace prewarm::cold {
namespace {

// Of a place in a search: there is nothing to execute there. All else is worth telling.
bool is_absent(int result) { return result == -ENOENT || result == -ENOTDIR; }

// Operations whose descriptor is the caller's: there is no reason why the program should have it.
bool uses_callers_descriptor(const Operation& operation) {
  using enum OperationCode;
  return operation.code == fchdir || operation.code == cgroup || operation.code == landlock;
}

sigset_t no_signals() {
  sigset_t none;
  ::sigemptyset(&none);
  return none;
}

}  // namespace

std::vector<std::string> search_places(const std::string& name, const char* path) {
  std::vector<std::string> places;
  PathSearch search(name.c_str(), path != nullptr ? path : kDefaultPath);
  while (const char* place = search.next()) places.emplace_back(place);
  return places;
}

CommandChain::CommandChain(const CommandDescription& description, const CommandContext& context)
    : description_(description) {
  CloneOptions clone;
  clone.namespaces = description.namespaces;
  clone.cgroup = description.cgroup;
  add(op::clone(clone));
  add_signals(description.signals);
  add_descriptors(context);
  if (!description.directory.empty()) {
    add(op::chdir(description.directory.c_str()), description.directory);
  }
  add_setup();
  make_environment(context.environment);
  add_exec();
}

void CommandChain::add(Operation operation, std::string subject) {
  operation.linked = true;
  operation.hard_linked = false;
  operation.user_data = operations_.size();
  operations_.push_back(operation);
  subjects_.push_back(std::move(subject));
}

void CommandChain::add_signals(Signals how) {
  if (how == Signals::inherit) return;
  sigset_t defaults = no_signals();
  if (how == Signals::all_default) {
    ::sigfillset(&defaults);
  } else {
    ::sigaddset(&defaults, SIGPIPE);
  }
  add(op::signal_default(defaults));
  add(op::signal_mask(no_signals()));
}

// First the numbers that are copies of the caller's, all at once, so that none is overwritten while
// it is still wanted; then what is opened.
void CommandChain::add_descriptors(const CommandContext& context) {
  const auto& streams = description_.streams;
  map_ = description_.inherited;
  const auto kind = [&](int i) { return streams[i] ? streams[i]->kind() : Stdio::Kind::inherit; };
  for (int i = 0; i < 3; ++i) {
    if (kind(i) == Stdio::Kind::inherit && context.open[i]) map_.push_back({i, i});
    if (kind(i) == Stdio::Kind::pipe) map_.push_back({context.pipe_ends[i], i});
    if (kind(i) == Stdio::Kind::descriptor) map_.push_back({streams[i]->fd(), i});
  }
  // And what the set-up will need, at numbers that nobody else wants.
  int number = 3;
  for (const Inherited& i : map_) number = std::max(number, i.target + 1);
  first_lent_ = number;
  for (const Operation& operation : description_.setup) {
    if (uses_callers_descriptor(operation)) map_.push_back({operation.fd, number++});
  }
  add(op::keep_only(map_));

  for (int i = 0; i < 3; ++i) {
    if (kind(i) == Stdio::Kind::null) {
      add(op::open(i, "/dev/null", i == 0 ? O_RDONLY : O_WRONLY), "/dev/null");
    } else if (kind(i) == Stdio::Kind::file) {
      const Stdio& file = *streams[i];
      add(op::open(i, file.path().c_str(), file.flags(), file.mode()), file.path());
    } else if (kind(i) == Stdio::Kind::output) {
      add(op::dup(1, i));
    }
  }
}

void CommandChain::add_setup() {
  int number = first_lent_;
  for (Operation operation : description_.setup) {
    const bool lent = uses_callers_descriptor(operation);
    if (lent) operation.fd = number;
    add(operation);
    // At once: a filter that comes later may forbid it.
    if (lent) add(op::close(number++));
  }
}

void CommandChain::make_environment(char* const* of_caller) {
  const auto& changed = description_.variables;
  for (char* const* v = of_caller; v != nullptr && *v != nullptr; ++v) {
    if (description_.clean_environment) break;
    const std::string_view entry(*v);
    if (!changed.contains(std::string(entry.substr(0, entry.find('='))))) env_.push_back(*v);
  }
  variables_.reserve(changed.size());  // so that none moves
  for (const auto& [name, value] : changed) {
    if (!value) continue;
    env_.push_back(variables_.emplace_back(name + '=' + *value).data());
  }
  env_.push_back(nullptr);
}

const char* CommandChain::find_variable(std::string_view name) const {
  for (const char* entry : env_) {
    if (entry == nullptr) break;
    const std::string_view text(entry);
    if (text.starts_with(name) && text.substr(name.size()).starts_with('=')) {
      return entry + name.size() + 1;
    }
  }
  return nullptr;
}

void CommandChain::add_exec() {
  const auto mutable_text = [](const std::string& s) { return const_cast<char*>(s.c_str()); };
  const auto& d = description_;
  argv_.push_back(mutable_text(d.argv0 ? *d.argv0 : d.program));
  for (const auto& argument : d.arguments) argv_.push_back(mutable_text(argument));
  argv_.push_back(nullptr);

  searched_ = !d.program.empty() && !d.program.contains('/');
  places_ = search_places(d.program, find_variable("PATH"));
  first_exec_ = operations_.size();
  for (const auto& place : places_) add(op::exec(place.c_str(), argv_.data(), env_.data()), place);
  operations_.back().linked = false;
}

std::optional<Error> CommandChain::error(std::span<const int> results) const {
  // What is cancelled (the clone, too, if an argument of another is bad) isn't what is wrong.
  for (std::size_t i = 0; i < first_exec_; ++i) {
    if (results[i] < 0 && results[i] != -ECANCELED) {
      return Error{operation_name(operations_[i].code), subjects_[i], -results[i]};
    }
  }
  const auto row = results.subspan(first_exec_);
  if (std::ranges::find(row, 0) != row.end()) return {};
  return search_error(row);
}

// Of several places that which shows best what went wrong.
Error CommandChain::search_error(std::span<const int> results) const {
  bool absent = results.empty();  // PATH has only names that are too long
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i] == -ECANCELED) continue;
    if (!searched_ || !is_absent(results[i])) return {"exec", places_[i], -results[i]};
    absent = true;
  }
  if (absent) return {"search PATH for", description_.program, ENOENT};
  return {"start", description_.program, ECANCELED};  // killed from outside on its way
}

}  // namespace prewarm::cold

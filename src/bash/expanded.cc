// SPDX-License-Identifier: GPL-3.0-or-later
//
// Direct launches of commands that bash forks for before it expands them: elements of a pipeline,
// and command substitutions. The words are expanded here, in the shell, which is allowed only when
// nobody could tell (words.h); then no copy of bash is needed at all.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "bash/front.h"
#include "bash/redirections.h"
#include "bash/words.h"

namespace prewarm::bash {

using launch::Descriptor;
using launch::Reason;

namespace {

// A pipe takes this much without a reader (POSIX's PIPE_BUF; a pipe's smallest size is a page).
constexpr std::size_t kMostEcho = 4096;
constexpr std::size_t kMostParsed = 256;

// Makes `source` the descriptor at `target`, whatever was to be there.
void put(std::vector<Descriptor>& descriptors, int source, int target) {
  const auto at = std::lower_bound(descriptors.begin(), descriptors.end(), target,
                                   [](const Descriptor& d, int t) { return d.target < t; });
  if (at != descriptors.end() && at->target == target) {
    at->source = source;
  } else {
    descriptors.insert(at, {source, target});
  }
}

// A pipe's end that the shell has open for a moment isn't inherited at its own number.
void hide(std::vector<Descriptor>& descriptors, int fd) {
  std::erase_if(descriptors, [fd](const Descriptor& d) { return d.target == fd; });
}

// The elements of a pipeline of simple commands; empty if it is anything else.
std::vector<SIMPLE_COM*> simple_pipeline(COMMAND* command) {
  std::vector<SIMPLE_COM*> elements;
  for (COMMAND* c = command; c != nullptr;) {
    constexpr int kOdd = CMD_WANT_SUBSHELL | CMD_FORCE_SUBSHELL | CMD_INVERT_RETURN |
                         CMD_TIME_PIPELINE | CMD_AMPERSAND;
    if ((c->flags & kOdd) != 0 || c->redirects != nullptr) return {};
    COMMAND* element = c;
    COMMAND* rest = nullptr;
    if (c->type == cm_connection) {
      if (c->value.Connection->connector != '|') return {};
      element = c->value.Connection->first;
      rest = c->value.Connection->second;
      if ((element->flags & kOdd) != 0 || element->redirects != nullptr) return {};
    }
    if (element->type != cm_simple) return {};
    elements.push_back(element->value.Simple);
    c = rest;
  }
  return elements;
}

bool has_files(const SIMPLE_COM* command) {
  for (const REDIRECT* r = command->redirects; r != nullptr; r = r->next) {
    if (r->instruction != r_duplicating_output && r->instruction != r_duplicating_input &&
        r->instruction != r_close_this) {
      return true;
    }
  }
  return false;
}

// What the echo builtin writes for these words: bash's own, with its output caught.
bool catch_echo(const std::vector<std::string>& words, std::string& out) {
  WORD_LIST* list = nullptr;
  for (std::size_t i = words.size(); i-- > 1;) {
    list = make_word_list(make_bare_word(words[i].c_str()), list);
  }
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* memory = ::open_memstream(&text, &size);
  if (memory == nullptr) return false;
  std::FILE* const real = stdout;
  stdout = memory;
  const int status = echo_builtin(list);
  stdout = real;
  std::fclose(memory);
  out.assign(text, size);
  std::free(text);
  dispose_words(list);
  return status == EXECUTION_SUCCESS && out.size() <= kMostEcho;
}

}  // namespace

// Name, arguments, program and redirections of a simple command that hasn't been expanded.
Reason Front::resolve(SIMPLE_COM* command, Order& order) {
  if (echo_command_at_execute != 0) return Reason::traced;
  if (command->words == nullptr || posixly_correct != 0) return Reason::side_effects;
  for (const WORD_LIST* w = command->words; w != nullptr; w = w->next) {
    if ((w->word->flags & W_ASSIGNMENT) != 0) return Reason::assignments;
    if (!expand_pure(w->word, order.words)) return Reason::side_effects;
  }
  if (order.words.empty()) return Reason::side_effects;
  for (auto& word : order.words) order.argv.push_back(word.data());
  order.argv.push_back(nullptr);
  const std::string& name = order.words.front();
  if (find_function(name.c_str()) != nullptr) return Reason::side_effects;
  if (auto* builtin = find_shell_builtin(const_cast<char*>(name.c_str())); builtin != nullptr) {
    if (builtin != echo_builtin || command->redirects != nullptr) return Reason::side_effects;
    order.is_echo = catch_echo(order.words, order.echo);
    return order.is_echo ? Reason::none : Reason::side_effects;
  }
  if (const Reason r = find_program(name, order); r != Reason::none) return r;
  if (is_coprocess(name.c_str(), order.path)) return Reason::coprocess;
  if (!fill_descriptors(order)) return Reason::too_many_descriptors;
  return Reason::none;
}

// The PATH search that a forked child would have done, which leaves no trace in the shell: neither
// a new entry in its hash table nor a hit of an old one.
Reason Front::find_program(const std::string& name, Order& order) {
  if (check_hashed_filenames != 0) return Reason::side_effects;
  BUCKET_CONTENTS* entry = nullptr;
  int hits = 0;
  if (hashed_filenames != nullptr) {
    entry = hash_search(name.c_str(), hashed_filenames, 0);
    if (entry != nullptr) hits = entry->times_found - 1;
  }
  char* path = search_for_command(name.c_str(), 0);
  if (entry != nullptr) entry->times_found = hits;
  if (path == nullptr) return Reason::not_found;
  order.path = path;
  std::free(path);
  return order.path[0] == '/' ? Reason::none : Reason::untrusted_directory;
}

// The environment as the forked child would pass it on: `_` names the program, and a child that
// execs in its own place counts its shell level down before that (adjust_shell_level).
void Front::make_environment(Order& order, bool own_level) {
  order.env_strings.clear();
  order.env_strings.reserve(2);
  order.env_strings.push_back("_=" + order.path);
  if (own_level) {
    const char* level = get_string_value("SHLVL");
    order.env_strings.push_back("SHLVL=" + std::to_string(std::max(0, std::atoi(level) - 1)));
  }
  order.env_pointers.clear();
  bool named = false;
  for (char** e = export_env; *e != nullptr; ++e) {
    if ((*e)[0] == '_' && (*e)[1] == '=') {
      order.env_pointers.push_back(order.env_strings[0].data());
      named = true;
    } else if (own_level && std::strncmp(*e, "SHLVL=", 6) == 0) {
      order.env_pointers.push_back(order.env_strings[1].data());
    } else {
      order.env_pointers.push_back(*e);
    }
  }
  if (!named) order.env_pointers.push_back(order.env_strings[0].data());
  order.env_pointers.push_back(nullptr);
  order.env = order.env_pointers.data();
}

// One element of a pipeline that bash is making: it forks for it before it expands it.
pid_t Front::launch_element() {
  SIMPLE_COM* command = frame.command->value.Simple;
  const int in = frame.pipe_in;
  const int out = frame.pipe_out;
  // Pipes on 0 to 2 mean that a standard descriptor was closed: bash's own moves apply.
  if ((in != kNoPipe && in < 3) || (out != kNoPipe && out < 3)) return 0;
  Order order;
  Reason reason = resolve(command, order);
  if (reason == Reason::none && order.is_echo) return finish_echo(order, out);
  if (order.path.empty()) return 0;
  make_environment(order, false);
  for (const int fd : {in, out}) {
    if (fd == kNoPipe) continue;
    hide(order.descriptors, fd);
    order.to_own.push_back(fd);
    put(order.descriptors, fd, fd == in ? 0 : 1);
  }
  pid_t pid = 0;
  if (reason == Reason::none && !add_redirections(order, command->redirects)) {
    reason = Reason::redirection;
  }
  if (reason == Reason::none) pid = launch(order, reason);
  return pid > 0 ? pid : cold(order.path.c_str(), reason);
}

// `echo … |`: the shell writes what its forked child would have written, and the child has ended.
pid_t Front::finish_echo(const Order& order, int fd) {
  if (fd == kNoPipe || frame.pipe_in != kNoPipe) return 0;
  const ssize_t written = ::write(fd, order.echo.data(), order.echo.size());
  if (written != static_cast<ssize_t>(order.echo.size())) return 0;
  const pid_t pid = invent_pid();
  finished_.push_back({pid, 0});
  return pid;
}

// $(…) around a pipeline of simple commands: its processes are made here, with the substitution's
// pipe at the end; bash reads from it and waits for the last.
pid_t Front::launch_substitution() {
  substitution.armed = false;
  // Only command_substitute forks like this: then the text is of the call that is under way.
  if (make_child_flags != FORK_NOTERM) return 0;
  const std::string text = substitution.text;
  if (substitution.backquoted || expand_aliases != 0 || running_trap != 0 ||
      echo_input_at_read != 0 || temporary_env != nullptr || array_needs_making != 0 ||
      function_trace_mode != 0 || error_trace_mode != 0 || last_pipe[1] < 3) {
    return 0;
  }
  auto known = parsed_.find(text);
  if (known == parsed_.end()) {
    if (parsed_.size() >= kMostParsed) return 0;
    COMMAND* command = parse_string_to_command(const_cast<char*>(text.c_str()), SX_NOLONGJMP);
    known = parsed_.emplace(text, command).first;
  }
  if (known->second == nullptr) return 0;
  const auto elements = simple_pipeline(known->second);
  std::vector<Order> orders(elements.size());
  // A lone command without redirections is exec'd in the forked child's own place.
  const bool in_place = elements.size() == 1 && elements[0]->redirects == nullptr;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    Order& order = orders[i];
    // A message about a file that can't be opened would name a line that only the child knows.
    if (text.find('\n') != std::string::npos && has_files(elements[i])) return 0;
    const Reason r = resolve(elements[i], order);
    if (r != Reason::none || (order.is_echo && i != 0)) {
      return order.path.empty() ? 0 : cold(order.path.c_str(), r);
    }
    if (order.is_echo) continue;
    hide(order.descriptors, last_pipe[0]);
    hide(order.descriptors, last_pipe[1]);
    make_environment(order, in_place);
  }
  if (orders.empty() || orders.back().is_echo) return 0;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (orders[i].is_echo) continue;
    if (i > 0) put(orders[i].descriptors, 0, 0);
    put(orders[i].descriptors, 1, 1);
    if (!add_redirections(orders[i], elements[i]->redirects)) {
      return cold(orders[i].path.c_str(), Reason::redirection);
    }
  }
  pid_t pid = 0;
  const Reason reason = launch_pipeline(orders, last_pipe[1], !in_place, pid);
  if (reason != Reason::none) {
    // The subshell calls for all of them.
    for (std::size_t i = 0; i + 1 < orders.size(); ++i) {
      if (!orders[i].is_echo) consider_parking(orders[i].path.c_str());
    }
    return cold(orders.back().path.c_str(), reason);
  }
  // bash closes its end of the pipe and reads to the end of file, which must not wait for us.
  settle();
  return pid;
}

// The pipes between the elements; the last writes to `out`.
bool Front::connect(std::vector<Order>& orders, int out, std::vector<os::Fd>& pipes) {
  for (std::size_t i = 0; i < orders.size(); ++i) {
    const bool last = i + 1 == orders.size();
    if (last) {
      put(orders[i].descriptors, out, 1);
      orders[i].to_own.push_back(out);
      continue;
    }
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    const int in = pipes.emplace_back(os::move_above(os::Fd(ends[0]), floor_)).get();
    const int to = pipes.emplace_back(os::move_above(os::Fd(ends[1]), floor_)).get();
    if (in < 0 || to < 0) return false;
    put(orders[i].descriptors, to, 1);
    orders[i].to_own.push_back(to);
    put(orders[i + 1].descriptors, in, 0);
    orders[i + 1].to_own.push_back(in);
  }
  return true;
}

// Claims a process for element `i` and writes its request.
Reason Front::prepare_element(const Order& order, unsigned i, bool other_parent, Claimed& claimed,
                              Pending*& pending) {
  if (const Reason r = claim(order, claimed); r != Reason::none) return r;
  // In a plain run its parent would be the forked subshell, not the shell.
  if (other_parent && (mentions_proc(order) || claimed.pool->asks_parent(claimed.claim.program))) {
    return Reason::other_parent;
  }
  pending = fill_pending(order, claimed);
  if (pending == nullptr) return Reason::request_too_large;
  pending->active = true;
  pending->element = i;
  return Reason::none;
}

// Undoes what was prepared for an element, none of which has begun.
void Front::withdraw(const Claimed& claimed, Pending* pending) {
  const bool ahead = pending != nullptr && pending->ahead;
  if (pending != nullptr) pending->active = false;
  if (claimed.pool == nullptr) return;
  if (ahead) {
    claimed.pool->revoke(claimed.claim);
  } else {
    claimed.pool->give_back(claimed.claim);
  }
}

// All or nothing: every element is claimed, and every request written, before the first is sent;
// and everything has been looked at before the first may run. After that there is no way back.
Reason Front::launch_pipeline(std::vector<Order>& orders, int out, bool other_parent, pid_t& pid) {
  std::vector<os::Fd> pipes;
  std::vector<Claimed> claims(orders.size());
  std::vector<Pending*> pendings(orders.size());
  Reason reason = connect(orders, out, pipes) ? Reason::none : Reason::system_refused;
  for (unsigned i = 0; reason == Reason::none && i < orders.size(); ++i) {
    if (orders[i].is_echo) continue;
    reason = prepare_element(orders[i], i, other_parent, claims[i], pendings[i]);
  }
  for (Pending* p : pendings) {
    if (p != nullptr && reason == Reason::none) send_ahead(*p);
  }
  for (const Claimed& c : claims) {
    if (c.pool != nullptr && reason == Reason::none) reason = look(c);
  }
  if (reason != Reason::none) {
    for (std::size_t i = 0; i < orders.size(); ++i) withdraw(claims[i], pendings[i]);
    return reason;
  }
  hidden_statuses_.assign(orders.size() - 1, 0);
  for (std::size_t i = 0; i < orders.size(); ++i) {
    if (orders[i].is_echo) {
      // The first element; its pipe is the first that was made, and empty.
      const ssize_t n = ::write(pipes[1].get(), orders[i].echo.data(), orders[i].echo.size());
      hidden_statuses_[i] =
          n == static_cast<ssize_t>(orders[i].echo.size()) ? 0 : EXECUTION_FAILURE;
    } else {
      pendings[i]->hidden = i + 1 != orders.size();
      pid = send_element(orders[i], *pendings[i]);
    }
  }
  return pid > 0 ? Reason::none : Reason::system_refused;
}

}  // namespace prewarm::bash

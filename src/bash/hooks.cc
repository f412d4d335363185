// SPDX-License-Identifier: GPL-3.0-or-later
//
// The hooks: each does as little as it can and goes on to the original.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>

#include <cstring>

#include "bash/front.h"
#include "bash/originals.h"
#include "bash/patching.h"
#include "bash/taken_signals.h"
#include "image/exec_image.h"

namespace prewarm::bash {

Originals& originals() {
  static Originals instance;
  return instance;
}

namespace {

pid_t hook_fork() {
  Front& f = front();
  if (const pid_t pid = f.instead_of_fork(); pid > 0) return pid;
  f.before_fork();
  pid_t pid = originals().fork();
  if (pid < 0 && f.fork_failed(errno)) pid = originals().fork();
  const int error = errno;
  if (pid == 0) {
    f.after_fork_in_child((f.make_child_flags & FORK_ASYNC) != 0);
  } else if (pid > 0) {
    f.after_fork_in_parent(pid);
  }
  errno = error;
  return pid;
}

pid_t hook_waitpid(pid_t pid, int* status, int options) {
  return front().wait(pid, status, options);
}

int hook_execve(const char* path, char* const* argv, char* const* env) {
  front().instead_of_exec(path, argv, env);
  front().before_exec();
  if (!front().restorer().empty()) {
    image::exec_from_image(front().restorer().c_str(), path, argv, env);
  }
  return originals().execve(path, argv, env);
}

int hook_chdir(const char* path) {
  front().changed_directory();
  return originals().chdir(path);
}

int not_open() {
  errno = EBADF;
  return -1;
}

int hook_close(int fd) { return front().owns_descriptor(fd) ? not_open() : originals().close(fd); }

int hook_fcntl(int fd, int command, ...) {
  va_list args;
  va_start(args, command);
  const long argument = va_arg(args, long);
  va_end(args);
  if (front().owns_descriptor(fd)) return not_open();
  int result = originals().fcntl(fd, command, argument);
  if (result < 0 && front().descriptors_failed(errno)) {
    result = originals().fcntl(fd, command, argument);
  }
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) front().descriptors.note_number(result);
  return result;
}

int hook_dup(int fd) {
  if (front().owns_descriptor(fd)) return not_open();
  const int copy = originals().dup(fd);
  front().descriptors.note_number(copy);
  return copy;
}

int hook_dup2(int from, int to) {
  if (front().owns_descriptor(from)) return not_open();
  front().keep_off(to);
  front().descriptors.note_number(to);
  return originals().dup2(from, to);
}

int hook_open(const char* path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  const auto mode = static_cast<mode_t>(va_arg(args, int));
  va_end(args);
  // By writing there a shell changes what its children inherit.
  if ((flags & O_ACCMODE) != O_RDONLY &&
      (std::strncmp(path, "/proc/", 6) == 0 || std::strncmp(path, "/sys/fs/cgroup", 14) == 0)) {
    front().attributes_uncertain = true;
  }
  if (std::strncmp(path, "/proc/", 6) == 0) front().note_proc_file();
  int fd = originals().open(path, flags, mode);
  if (fd < 0 && front().descriptors_failed(errno)) fd = originals().open(path, flags, mode);
  front().descriptors.note_number(fd);
  return fd;
}

// bash's handlers, where note_signal stands in for them.
SigHandler* handlers[NSIG];

void note_signal(int sig) {
  taken_signals.note(sig);
  handlers[sig](sig);
}

// SIGCHLD comes all the time, and ends nobody.
bool is_noted(int sig, const struct sigaction& action) {
  return sig > 0 && sig < NSIG && sig != SIGCHLD && (action.sa_flags & SA_SIGINFO) == 0 &&
         action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN &&
         action.sa_handler != note_signal;
}

int hook_sigaction(int sig, const struct sigaction* action, struct sigaction* old) {
  SigHandler* const before = sig > 0 && sig < NSIG ? handlers[sig] : nullptr;
  struct sigaction noting;
  if (action != nullptr && is_noted(sig, *action)) {
    noting = *action;
    noting.sa_handler = note_signal;
    handlers[sig] = action->sa_handler;
    action = &noting;
  }
  const int result = originals().sigaction(sig, action, old);
  if (result == 0 && old != nullptr && old->sa_handler == note_signal) old->sa_handler = before;
  return result;
}

// The handlers that there are already when a script loads us.
void note_installed() {
  for (int sig = 1; sig < NSIG; ++sig) {
    struct sigaction action;
    if (originals().sigaction(sig, nullptr, &action) == 0 && is_noted(sig, action)) {
      hook_sigaction(sig, &action, nullptr);
    }
  }
}

int hook_execute_command_internal(COMMAND* command, int async, int pipe_in, int pipe_out,
                                  struct fd_bitmap* fds_to_close) {
  Front& f = front();
  f.advance_ahead();
  const Frame outer = f.frame;
  f.frame = Frame{};
  f.frame.command = command;
  f.frame.async = async;
  f.frame.pipe_in = pipe_in;
  f.frame.pipe_out = pipe_out;
  f.frame.fds_to_close = fds_to_close;
  const int result =
      originals().execute_command_internal(command, async, pipe_in, pipe_out, fds_to_close);
  f.frame = outer;
  return result;
}

WORD_LIST* hook_expand_words(WORD_LIST* list) {
  WORD_LIST* expanded = originals().expand_words(list);
  Frame& frame = front().frame;
  if (frame.command != nullptr && frame.command->type == cm_simple &&
      frame.command->value.Simple->words == list) {
    unsigned i = 0;
    for (const WORD_LIST* w = expanded; w != nullptr && i < Frame::kFirstWords; w = w->next, ++i) {
      frame.words[i] = w;
      frame.texts[i] = w->word->word;
    }
  }
  return expanded;
}

char* hook_search_for_command(const char* name, int flags) {
  char* path = originals().search_for_command(name, flags);
  front().frame.searched = name;
  front().frame.path = path;
  return path;
}

pid_t hook_make_child(char* command, int flags) {
  Front& f = front();
  f.in_make_child = true;
  f.make_child_flags = flags;
  const pid_t pid = originals().make_child(command, flags);
  f.in_make_child = false;
  f.make_child_flags = 0;
  return pid;
}

WORD_DESC* hook_command_substitute(char* text, int quoted, int flags) {
  Front& f = front();
  f.substitution = {true, text, (flags & PF_BACKQUOTE) != 0};
  WORD_DESC* word = originals().command_substitute(text, quoted, flags);
  f.substitution = {};
  f.finish_hidden();
  return word;
}

int hook_pipe(int* fds) {
  int result = originals().pipe(fds);
  if (result != 0 && front().descriptors_failed(errno)) result = originals().pipe(fds);
  if (result == 0) {
    front().last_pipe[0] = fds[0];
    front().last_pipe[1] = fds[1];
    front().descriptors.note_number(fds[0]);
    front().descriptors.note_number(fds[1]);
  }
  return result;
}

template <class F>
void* as_pointer(F* function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

bool install_hooks() {
  Originals& o = originals();
  Patcher patcher;
  const auto original = [](auto& slot) { return reinterpret_cast<void**>(&slot); };
  // Entries first: they are what an unusual build fails, and a hook that was put in place but never
  // finds its context does no harm.
  const bool entries =
      patcher.entry(as_pointer(&::execute_command_internal),
                    as_pointer(&hook_execute_command_internal),
                    original(o.execute_command_internal)) &&
      patcher.entry(as_pointer(&::expand_words), as_pointer(&hook_expand_words),
                    original(o.expand_words)) &&
      patcher.entry(as_pointer(&::search_for_command), as_pointer(&hook_search_for_command),
                    original(o.search_for_command)) &&
      patcher.entry(as_pointer(&::make_child), as_pointer(&hook_make_child),
                    original(o.make_child)) &&
      patcher.entry(as_pointer(&::command_substitute), as_pointer(&hook_command_substitute),
                    original(o.command_substitute));
  if (!patcher.finish() || !entries) return false;
  const bool imports =
      patcher.import("waitpid", as_pointer(&hook_waitpid), original(o.waitpid)) &&
      patcher.import("execve", as_pointer(&hook_execve), original(o.execve)) &&
      patcher.import("chdir", as_pointer(&hook_chdir), original(o.chdir)) &&
      patcher.import("close", as_pointer(&hook_close), original(o.close)) &&
      patcher.import("fcntl", as_pointer(&hook_fcntl), original(o.fcntl)) &&
      patcher.import("dup", as_pointer(&hook_dup), original(o.dup)) &&
      patcher.import("dup2", as_pointer(&hook_dup2), original(o.dup2)) &&
      patcher.import("pipe", as_pointer(&hook_pipe), original(o.pipe)) &&
      patcher.import("open", as_pointer(&hook_open), original(o.open)) &&
      patcher.import("sigaction", as_pointer(&hook_sigaction), original(o.sigaction)) &&
      patcher.import("fork", as_pointer(&hook_fork), original(o.fork));
  if (imports) note_installed();
  return imports;
}

}  // namespace prewarm::bash

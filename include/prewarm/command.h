// SPDX-License-Identifier: MIT
//
// Command: for whoever just wants a child. What a program is to be started with, and three ways to
// start it: spawn() returns when the program runs, run() when it has ended, capture() with all that
// it has written.
//
//   auto sorted = prewarm::Command("sort").arg("-u").in(Stdio::read("names")).capture();
//   if (!sorted) complain(sorted.error().message());   // "open names: No such file or directory"
//   else if (sorted->success()) use(sorted->out);
//
// The caller isn't copied, whatever its size, and only the calling thread waits for the exec. So
// what goes wrong before the program runs is an error here, with the step that failed, and not an
// exit status.
//
// What the program gets, unless it is told otherwise:
//
//   arguments     the program's name as it was given, and those added by arg()
//   environment   the caller's
//   descriptors   0, 1 and 2 as the caller's, closed if they are; no others
//   signals       none blocked; SIGPIPE not ignored; others ignored if the caller ignores them
//   all else      the caller's
//
// Steps are made in this order: signals, descriptors, directory, then those of setup() and its
// kind in the order of their calls, then exec. So files of streams are looked for from the caller's
// directory, the program from its own.
//
// Threads: a Command belongs to one thread at a time. It can be started any number of times.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "prewarm/process.h"
#include "prewarm/result.h"
#include "prewarm/spawn.h"

namespace prewarm::cold {
struct CommandDescription;
}

namespace [[gnu::visibility("default")]] prewarm {

// What one of a program's standard streams is.
class Stdio {
 public:
  enum class Kind : std::uint8_t { inherit, null, pipe, file, descriptor, output, closed };

  static Stdio inherit() { return Stdio(Kind::inherit); }
  static Stdio null() { return Stdio(Kind::null); }
  static Stdio pipe() { return Stdio(Kind::pipe); }  // our end: Process::in(), out(), err()
  // Opened by the new process, with the caller's umask; open(2) has the flags.
  static Stdio file(std::string path, int flags, mode_t mode = 0666);
  static Stdio read(std::string path);
  static Stdio write(std::string path, mode_t mode = 0666);  // made, or emptied
  static Stdio append(std::string path, mode_t mode = 0666);
  // A descriptor of the caller, who keeps it, and must have it open when the command is started.
  static Stdio descriptor(int fd);
  static Stdio output() { return Stdio(Kind::output); }  // for err(): where the output goes
  static Stdio closed() { return Stdio(Kind::closed); }

  Kind kind() const { return kind_; }
  const std::string& path() const { return path_; }
  int flags() const { return flags_; }
  mode_t mode() const { return mode_; }
  int fd() const { return fd_; }

 private:
  explicit Stdio(Kind kind) : kind_(kind) {}

  Kind kind_;
  std::string path_;
  int flags_ = 0;
  mode_t mode_ = 0;
  int fd_ = -1;
};

enum class Signals : std::uint8_t {
  usual,        // see the table above
  inherit,      // as the calling thread has them, SIGPIPE too
  all_default,  // none blocked, none ignored
};

class Command {
 public:
  // A name without a slash is looked for along PATH of the program's environment, not the caller's:
  // the same name means the same to both. Without PATH: /bin and /usr/bin. The first place where it
  // can be executed is taken, whatever others before it failed with (execvp(3) ends its search at
  // all but a few errors); a file whose format isn't known (ENOEXEC) isn't handed to a shell.
  explicit Command(std::string program);
  Command(const Command& other);
  Command(Command&& other) noexcept;
  Command& operator=(const Command& other);
  Command& operator=(Command&& other) noexcept;
  ~Command();

  Command& arg(std::string argument);
  Command& args(std::initializer_list<std::string_view> arguments);
  Command& argv0(std::string name);  // in place of the program's name

  Command& env(std::string name, std::string value);
  Command& unset_env(std::string name);
  Command& clear_env();  // the caller's variables aren't passed on

  Command& in(Stdio stream);
  Command& out(Stdio stream);
  Command& err(Stdio stream);
  // Descriptor `target` (3 or more) of the program is a copy of the caller's `source`.
  Command& inherit(int source, int target);
  Command& inherit(int fd) { return inherit(fd, fd); }

  Command& directory(std::string path);
  Command& signals(Signals how);
  // Any other operation (prewarm/spawn.h) but clone and exec. What it points to must stay until the
  // command has been started. Descriptors of fchdir, cgroup and landlock are the caller's, and the
  // program doesn't get them; those of all others are the program's.
  Command& setup(const Operation& operation);
  Command& umask(mode_t mask) { return setup(op::umask(mask)); }
  Command& session() { return setup(op::setsid()); }
  Command& process_group(pid_t group = 0) { return setup(op::setpgid(group)); }  // 0: its own
  Command& limit(int resource, rlim_t soft, rlim_t hard);
  Command& limit(int resource, rlim_t both) { return limit(resource, both, both); }
  Command& nice(int value) { return setup(op::nice(value)); }
  Command& no_new_privileges() { return setup(op::no_new_privileges()); }
  // Sent to the program when the calling *thread* ends (prctl(2)).
  Command& death_signal(int signal) { return setup(op::death_signal(signal)); }
  Command& namespaces(int flags);  // CLONE_NEW*, from the start
  Command& cgroup(int directory);  // of cgroup v2, from the start; a descriptor of the caller

  // For run() and capture(): the program is killed when it is over. Nothing: no limit.
  Command& timeout(std::optional<std::chrono::milliseconds> time);
  Command& kill_on_drop(bool yes = true);  // see Process
  // It is the leader of a new process group, and what kills it kills that.
  Command& kill_group();

  // The program runs, or an error says which step failed: "chdir /nowhere: No such file or
  // directory", "search PATH for frob: No such file or directory", "clone: Resource temporarily
  // unavailable". EINVAL, of what the error names: bad arguments of the functions above. In either
  // case no descriptor of the caller has changed, and after an error there is no child left.
  Result<Process> spawn() const;
  // Waits for its end. No pipes: EINVAL.
  Result<Exit> run() const;
  // Streams that nothing has been said about are pipes for output and errors, null for input, or a
  // pipe if there is input. A timeout in `options` takes the place of the command's.
  Result<Output> capture(const CaptureOptions& options = {}) const;

 private:
  Command& set_stream(int number, Stdio stream);

  std::unique_ptr<cold::CommandDescription> description_;
};

}  // namespace prewarm

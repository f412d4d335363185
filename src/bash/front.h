// SPDX-License-Identifier: GPL-3.0-or-later
//
// The bash front door: turns what bash is about to fork or exec into a LaunchRequest.
//
// bash keeps doing everything that is bash's: expansion, tracing, job and status book-keeping. Only
// two moments are ours. Where bash forks to run a command, and the command is one that a parked
// process can serve exactly, `instead_of_fork` releases that process and its pid is what fork
// returns (a *direct* launch: the process is bash's own child, made ahead of time). Where a forked
// subshell of bash execs, `instead_of_exec` has the shell's parked process do it and passes on its
// end (a *brokered* launch). A child that is about to exec a command that is declared a coprocess
// stays as its proxy. In every other case fork and exec happen as always.
//
// One Front per process; a forked subshell inherits a copy and drops what isn't its own.
#pragma once

#include <sys/types.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bash/attributes.h"
#include "bash/bash_api.h"
#include "bash/coprocess.h"
#include "bash/descriptors.h"
#include "bash/scan.h"
#include "bash/tally.h"
#include "coproc/declarations.h"
#include "launch/profile.h"
#include "launch/settings.h"
#include "park/pool.h"

namespace prewarm::bash {

// The call of execute_command_internal that bash is in, and what has been learnt since.
struct Frame {
  COMMAND* command = nullptr;
  int async = 0;
  int pipe_in = kNoPipe;
  int pipe_out = kNoPipe;
  struct fd_bitmap* fds_to_close = nullptr;
  // The first of the command's expanded words, with their texts: `command -p` frees those before
  // the name, so that only the one whose text is still in use may be looked at.
  static constexpr unsigned kFirstWords = 4;
  const WORD_LIST* words[kFirstWords] = {};
  const char* texts[kFirstWords] = {};
  const char* searched = nullptr;  // the name that was last searched for on PATH
  const char* path = nullptr;      // where it was found
};

// The call of command_substitute that bash is in; armed from its start to its fork.
struct Substitution {
  bool armed = false;
  const char* text = nullptr;
  bool backquoted = false;
};

// A builtin that was run in the shell in place of a forked child: bash is told of a child that has
// ended. Its pid is above all that the kernel gives (PID_MAX_LIMIT is 2^22).
struct Finished {
  pid_t pid;
  int status;
};

// A direct launch that bash waits for. Kept whole until its process has taken it, so that it can
// be repeated if the process dies before that.
struct Pending {
  bool active = false;
  bool hidden = false;         // bash doesn't know its pid: we wait for it (see finish_hidden)
  bool ended = false;          // hidden: `status` is valid
  unsigned element = 0;        // hidden: its place in the pipeline
  park::Pool* pool = nullptr;  // where its process came from; null: it was forked
  bool brokered = false;  // its process is not our child: the pool's owner passes the status on
  bool replaced = false;  // another process was ordered in the place of its own
  bool ahead = false;     // was sent before we had looked, and still waits for our grant
  bool settled = false;   // taken: it won't be repeated, nothing is kept for it any more
  pid_t shell_pid = 0;    // what bash was told
  pid_t pid = 0;          // what it is now
  int status = 0;
  os::Fd watch;  // brokered: see Pool::look
  park::Claim claim;
  std::vector<char> wire;  // its request
  std::vector<int> fds;    // its descriptors, working directory last
  std::vector<int> owned;  // those of them that are ours to close
  std::string path;
  std::int64_t start_ns = 0;
};

inline Rung warm_rung(const Pending& pending) {
  return pending.brokered ? Rung::brokered : Rung::direct;
}

// A process claimed for a launch.
struct Claimed {
  park::Pool* pool = nullptr;
  park::Claim claim;
  bool brokered = false;
};

// What a launch is made of, gathered by the different ways in.
struct Order {
  std::string path;
  std::vector<char*> argv;
  char* const* env = nullptr;
  // Where argv and env point to if not into bash's own memory.
  std::vector<std::string> words;
  std::vector<char*> env_pointers;
  std::vector<std::string> env_strings;
  std::string echo;  // instead of a program: what the echo builtin writes
  bool is_echo = false;
  std::vector<launch::Descriptor> descriptors;
  std::vector<int> to_own;  // sources among them which bash closes soon: keep copies
  std::vector<launch::SetUp> set_up;
  std::vector<os::Fd> documents;  // here-documents; among the sources
};

// Whether the launch is told, by an argument or a redirection, to look into /proc: where it would
// see its parent.
bool mentions_proc(const Order& order);
bool mention_proc(char* const* argv);  // the same of arguments alone

class Front {
  using Reason = launch::Reason;

 public:
  void start(const launch::Settings& settings);
  // Parks what this script is expected to need. `loadable` is this loadable's file.
  void begin_ahead(const std::string& loadable);
  void advance_ahead();
  void enable(bool on);
  bool enabled() const { return enabled_; }
  bool prepared() const { return prepared_; }

  // The two moments.
  pid_t instead_of_fork();
  void instead_of_exec(const char* path, char* const* argv, char* const* env);

  // Around them.
  void after_fork_in_child(bool async);
  void after_fork_in_parent(pid_t pid);
  // True: warm processes were given up, it is worth another try.
  bool fork_failed(int error);
  bool descriptors_failed(int error);
  void before_fork();
  void before_exec();
  // libprewarm-restore.so, for starting programs from images; empty: it isn't there.
  const std::string& restorer() const { return restorer_; }
  pid_t wait(pid_t pid, int* status, int options);
  void finish_hidden();
  void at_exit();
  void settle();
  void keep_off(int fd);
  // Whether `fd` is open for our sake: to the script it is not.
  bool owns_descriptor(int fd) const;
  park::Ended note_ended(pid_t pid, int status);
  void changed_directory() { cwd_.reset(); }
  // A file that may be about the opening process itself: what a subshell has opened for the program
  // that it becomes would be about the wrong one.
  void note_proc_file() { opened_proc_ = subshell_; }

  Frame frame;
  Substitution substitution;
  bool in_make_child = false;
  int make_child_flags = 0;
  int last_pipe[2] = {-1, -1};
  Descriptors descriptors;
  bool attributes_uncertain = false;

 private:
  static constexpr unsigned kMaxPending = 32;

  // front.cc: who may launch what, and what gets parked.
  bool shell_may_launch();
  bool prepare_pool();
  Reason make_pool();
  bool has_descriptors_left();
  void drop_pool();
  void give_up();
  pid_t invent_pid();
  void count(const char* path, Rung rung, Reason reason);
  pid_t cold(const char* path, Reason reason);
  void consider_parking(const char* path);
  void replace_spent();
  Reason refusal(const char* path) const;
  Reason nothing_parked() const;
  Reason check_shell() const;

  // ahead.cc
  struct Planned {
    std::string path;
    bool often;  // more than one launch is expected
  };
  void collect_look();
  void park(const char* path, char* const* env, unsigned want);
  bool was_launched(const std::string& path) const;
  void end_look();
  void remember();

  // direct.cc
  pid_t launch_simple();
  bool fill_descriptors(Order& order);
  bool add_redirections(Order& order, REDIRECT* redirects);
  pid_t launch(const Order& order, Reason& reason);
  Reason claim(const Order& order, Claimed& claimed);
  Reason look(const Claimed& claimed);
  void send_ahead(Pending& pending);
  bool send(Pending& pending);
  Reason claim_brokered(const Order& order, Claimed& claimed);
  pid_t finish_launch(const Order& order, Pending& pending, Rung rung);
  pid_t send_element(const Order& order, Pending& pending);
  Pending* fill_pending(const Order& order, const Claimed& claimed);
  void fill_request(const Order& order, launch::LaunchRequest& request);
  void own_descriptors(Pending& pending, const Order& order);
  Pending* free_pending();

  // expanded.cc: commands that bash would expand in a forked child
  pid_t launch_element();
  pid_t launch_substitution();
  pid_t finish_echo(const Order& order, int fd);
  Reason resolve(SIMPLE_COM* command, Order& order);
  Reason find_program(const std::string& name, Order& order);
  void make_environment(Order& order, bool own_level);
  Reason prepare_element(const Order& order, unsigned i, bool other_parent, Claimed& claimed,
                         Pending*& pending);
  static void withdraw(const Claimed& claimed, Pending* pending);
  Reason launch_pipeline(std::vector<Order>& orders, int out, bool other_parent, pid_t& pid);
  bool connect(std::vector<Order>& orders, int out, std::vector<os::Fd>& pipes);

  // coprocess.cc: commands that workers run
  bool is_coprocess(const char* called, const std::string& path) const;
  Reason may_be_done() const;
  Reason have_it_done(const char* path, char* const* argv, char* const* env);

  // brokered.cc
  Reason may_broker() const;
  Reason broker_exec(const char* path, char* const* argv, char* const* env);
  [[noreturn]] void broker(const park::Claim& claim);

  // waiting.cc
  Pending* pending_of(pid_t pid);
  pid_t note(pid_t pid, int status);
  void refill();
  Pending* collect_brokered();
  Pending* running_brokered();
  pid_t end_pending(Pending& pending, int status);
  pid_t wait_among(int* status, int options);
  bool repeat(Pending& pending);
  static std::uint64_t signals_since(const Pending& pending);
  bool spawn_cold(Pending& pending);
  static void drop_owned(Pending& pending);

  bool prepared_ = false;
  bool enabled_ = false;
  bool async_ancestor_ = false;
  Reason fork_reason_ = Reason::none;  // why the fork that made us was not a direct launch
  pid_t self_ = 0;
  launch::Settings settings_;
  std::uint64_t ignored_at_start_ = 0;
  int floor_ = 0;
  int living_ = 0;  // children that bash made by fork and has not yet waited for
  bool subshell_ = false;
  // The command that the main shell has forked us for: if that is what we exec, it is a launch of
  // the main shell's.
  const COMMAND* forked_for_ = nullptr;
  bool opened_proc_ = false;
  bool reported_ = false;
  // The cold launch that is being timed, for the estimate of what was saved.
  struct {
    std::string path;
    pid_t pid = -1;
    std::int64_t start_ns = 0;
  } timed_;
  int cwd_fd();
  os::Fd cwd_;
  bool cwd_is_shut_ = false;                          // a parked process could not change to it
  std::unique_ptr<park::Pool> pool_;                  // ours
  std::unique_ptr<park::Pool> upstream_;              // of the shell that forked us
  std::vector<std::unique_ptr<park::Pool>> retired_;  // shut down, with launches still running
  Inherited inherited_;                               // what held when pool_ was made
  Inherited upstream_inherited_;
  // What has been looked at for the call of fork that is under way: it may be answered by several
  // launches, between which nothing runs.
  struct {
    bool inherited = false;  // unchanged
    bool upstream_inherited = false;
    bool descriptors = false;  // in scratch_fds_
  } looked_at_;
  void look_anew();
  bool parking_refused_ = false;   // it is not tried again
  Reason no_pool_ = Reason::none;  // why there was none when it was last tried
  bool outdated_ = false;          // our parked processes inherited what no longer holds
  std::vector<std::pair<std::string, Reason>> refusals_;  // programs that can't be parked, and why
  Tally tally_;
  coproc::Declarations coprocesses_;
  StartLimits start_limits_;  // only with coprocesses, like what follows
  StartDescriptors start_descriptors_;
  // Parking ahead.
  unsigned processors_ = 1;
  bool ahead_ = false;    // there may be something left to park
  bool looking_ = false;  // the look at the script goes on
  bool look_ended_ = false;
  Look look_;
  unsigned collected_ = 0;
  std::vector<Planned> planned_;
  std::size_t next_planned_ = 0;
  std::string profile_directory_;
  std::string profile_file_;
  std::optional<launch::Profile> profile_;
  // Calls of a command after which it is parked.
  static constexpr unsigned kCallsToPark = 2;
  // Launches that this very process asked for and that no clone served, by path.
  std::vector<std::pair<std::string, unsigned>> local_calls_;
  std::vector<std::string> spent_;  // programs whose one parked process was released
  std::string restorer_;
  std::array<Pending, kMaxPending> pendings_;
  std::vector<Finished> finished_;
  unsigned invented_ = 0;                   // pids invented so far
  std::vector<int> hidden_statuses_;        // of a substitution's pipeline, in order, last excluded
  std::map<std::string, COMMAND*> parsed_;  // substitutions by text
  std::vector<int> scratch_fds_;
};

Front& front();

// The agent that belongs to this loadable: `configured` if given, else beside the loadable, else
// where it was installed.
std::string find_agent(const std::string& configured);

}  // namespace prewarm::bash

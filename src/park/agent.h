// SPDX-License-Identifier: MIT
//
// The agent: the part of prewarm that lives inside a parked program. It is preloaded, takes the
// place of __libc_start_main, lets linking and constructors happen, and then holds the program
// just before `main` until a request releases it.
//
// Restrictions on everything in agent*.cc: no allocation, no errno, no stdio, no exceptions, no
// static initialisers, no stack protector; system calls only through os/raw_syscall.h. The symbols
// that may be undefined in the finished object are an exact list, checked by agent_symbols_test.
#pragma once

#include <cstddef>
#include <cstdint>

#include "launch/reason.h"
#include "launch/wire.h"
#include "os/raw_syscall.h"
#include "park/table.h"
#include "prewarm/ready.h"

namespace prewarm::agent {

using park::Program;
using park::Slot;
using park::SlotState;
using park::Table;

using MainFunction = int (*)(int, char**, char**);

// Descriptors of a parked process. Everything below kControlFd is closed while it is parked, so
// that the descriptors of a request land at their final numbers by themselves.
inline constexpr int kControlFd = 63;
inline constexpr int kSlotFds = 64;  // slot k's receiving end is kSlotFds + k

// What the agent was told by whoever parked the program, in one environment variable:
// "TABLEFD:CONTROLFD:INDEX:KEEP:BACKGROUND:SLICE:READY". KEEP: 1 if the program may be cloned.
// BACKGROUND: 1 if it was started to work in the background (os/scheduling.h), which the program
// must not; then SLICE is its usual time slice in ns. READY: 1 if it is not to be held before main
// but where it says that it is ready (prewarm/ready.h).
inline constexpr char kParkVariable[] = "PREWARM_PARK";
inline constexpr char kReadyVariable[] = "PREWARM_READY";
inline constexpr char kAgentName[] = "libprewarm-agent.so";

struct State {
  MainFunction real_main;
  void (*real_fini)();  // ld.so's, which runs the destructors
  Program* program;     // our page of the table; null before and after being parked
  char* manifest;       // mapped while parking only
  unsigned index;
  bool may_clone;
  bool in_background;
  std::uint64_t slice;
  bool released;  // main has been entered: note nothing any more
  int table_fd;
  int control_fd;
  // Where the kernel shows command line and environment from; read once while parking.
  std::uint64_t mm_fields[7];  // start_code end_code start_stack start_data end_data start_brk 0
  std::uint64_t robust_head;
  std::size_t robust_size;
  int* tid_address;
  void* locale;
  std::uint64_t* auxv;  // the auxiliary vector on the initial stack
  bool came_first;      // our constructor has run, before all others
  char** environment;   // the real one, while constructors are watched and don't get it
  // Of a program that is held at its ready point:
  bool to_ready_point;
  bool in_main;                 // between main and that point
  long pid;                     // of the process that was started; its children aren't held
  char** start_environment;     // as its main found it, whatever main has changed since
  prewarm_ready_launch* ready;  // what it gave us, from that point on
  char* request_area;           // where its requests are received: its stack is its own
};
extern State state;

// In request_area: a request, and the rows of pointers to its strings, each of a byte at least.
inline constexpr std::size_t kRequestAreaBytes =
    launch::kInlineBytes + (launch::kInlineBytes + 8) * sizeof(char*);

// agent.cc: maps our pages of the table and takes the control socket, as we were told in `env`.
// False: that can't be done, or nobody told us anything.
bool follow_orders(char* const* env);

// agent_watch.cc: refuses a program whose constructors do, or see, what isn't the same for every
// launch. Begins by itself, before the first constructor.
void stop_watching(int argc, char** argv);
// From here on libc's own getenv doesn't come to us any more.
void restore_getenv();

// agent_constructors.cc
bool has_constructors();                        // of others than the C library
bool is_of_c_library(const char* object_name);  // or ours

// agent_calls.cc: why a constructor's system call can't be made while parking; none: it can.
launch::Reason judge_call(long number, const long (&arguments)[6]);

// agent_record.cc: what code that ran before main asked for.
bool write_manifest(bool initialised);  // into state.manifest
bool fork_handlers_are_known();         // false: more were registered than could be noted
void run_prepare_handlers();
void run_parent_handlers();
void run_child_handlers();

// agent_zygote.cc: the parked life of a program; returns only as the released program, with what
// its main returned.
int park(int argc, char** argv, char** envp);
[[noreturn]] void refuse(launch::Reason reason);
// The same for a program that has come to its ready point; returns in a released clone.
void park_at_ready_point();

// agent_ready.cc: the way to a ready point. Runs main, without what is there for our sake only.
int run_to_ready_point(int argc, char** argv, char** envp);
// Zeroed pages of our own; null: there are none.
char* map_pages(std::size_t size);

// agent_bind.cc: what is done once for all clones.
void bind_lazily_bound();
bool initialise_libraries();                     // true: something was initialised
extern const char* const kOpensslConfiguration;  // which that has read

// agent_regions.cc: the mappings that clones inherit.
void gather_locale_files();  // one mapping instead of many: each costs a microsecond in every clone
void note_regions();         // what is mapped now

// agent_locale.cc
bool warm_locale();  // false: libc remembers that it has not found one
// Names to `use` the files and directories that say what locale there is by the name that was
// loaded: if all stay as they are, main would find the same.
using UseFile = void (*)(void* data, const char* path);
void each_locale_file(UseFile use, void* data);

// agent_learn.cc: which pages a launch touches.
bool start_learning();  // in a released clone: true if it is one that will look when it exits
void end_program();     // ld.so's part of the exit, and then the look

// agent_adopt.cc: what is made of it.
void adopt_learned();  // in the zygote
void touch_learned();  // in a new clone

// agent_release.cc: becomes the program that a request describes, and calls its main.
//
// Waits on `socket` for the request that goes with a claim of `word` (a SlotState) in generation
// `generation`, and serves it: returns what main returned. Exits at end of file, and when the
// request is not one.
int serve(int socket, std::atomic<std::uint32_t>& word, std::uint32_t generation);
// Reads what is waiting on `socket` and drops it, descriptors and all.
void discard_messages(int socket);

// agent_util: tiny replacements for what libc would offer.
inline std::size_t length(const char* s) {
  std::size_t n = 0;
  while (s[n] != '\0') ++n;
  return n;
}
inline bool starts_with(const char* s, const char* prefix) {
  while (*prefix != '\0') {
    if (*s++ != *prefix++) return false;
  }
  return true;
}
inline void copy(char* to, const char* from, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) to[i] = from[i];
}
[[noreturn]] inline void leave(int status) {
  for (;;) os::raw_syscall(SYS_exit_group, status);
}
long read_file(const char* path, char* buffer, std::size_t size);

// Calls use(piece) for each piece of text that ends with `separator`, null-terminated in its place,
// in the next `size` bytes of `fd`. False: it can't be read to the end, or a piece is longer than
// the buffer.
template <class Use>
bool each_piece(long fd, std::size_t size, char separator, Use use) {
  char buffer[8192];
  std::size_t used = 0;
  for (;;) {
    const std::size_t room = sizeof buffer - used < size ? sizeof buffer - used : size;
    const long n = os::raw_syscall(SYS_read, fd, os::arg(buffer + used), static_cast<long>(room));
    if (n <= 0) return n == 0 && used == 0;
    used += static_cast<std::size_t>(n);
    size -= static_cast<std::size_t>(n);
    std::size_t start = 0;
    for (std::size_t i = 0; i < used; ++i) {
      if (buffer[i] != separator) continue;
      buffer[i] = '\0';
      use(buffer + start);
      start = i + 1;
    }
    used -= start;
    for (std::size_t i = 0; i < used; ++i) buffer[i] = buffer[start + i];
  }
}

}  // namespace prewarm::agent

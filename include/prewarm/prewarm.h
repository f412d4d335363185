/* SPDX-License-Identifier: MIT
 *
 * The C interface of prewarm: starting programs by rows of linked operations (prewarm_ring), and,
 * on top of it, for whoever just wants a child (prewarm_command). C11 or later with the
 * declarations of POSIX.1-2008 (-D_POSIX_C_SOURCE=200809L, -D_GNU_SOURCE or -std=gnu11), or C++.
 * prewarm_ring(7) explains the model, prewarm/spawn.h and prewarm/command.h are the same for C++.
 *
 * Errors: functions that return int give -errno (errno itself is left undefined), and 0 or a count
 * when they succeed. A null handle or pointer where one is needed is -EINVAL or -EFAULT. If memory
 * runs out, the process is aborted.
 *
 * Ownership: what *_create, *_new, *_spawn and *_capture hand out belongs to the caller, and goes
 * back by the *_free of its type, which takes NULL. Strings that are given are copied; what
 * operations point to is not, see there.
 *
 * Growth: option structures begin with their own size; initialise them by their *_INIT. What has
 * `reserved` must have zeros there: start from {0} or from a function of this header.
 */
#ifndef PREWARM_PREWARM_H_
#define PREWARM_PREWARM_H_

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "prewarm/posix_spawn.h" /* prewarm_posix_spawn, prewarm_posix_spawnp */

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

struct sock_fprog; /* <linux/filter.h> */

/* "0.1.0": of the library that is linked. */
const char* prewarm_version(void);

/* ---- Operations --------------------------------------------------------------------------------
 *
 * One step of a new process. The functions make them, and say what each is; a bad argument shows
 * when it is submitted. user_data and flags are the caller's to set. What an operation points to
 * is copied when it is submitted (or the command spawned), and must stay until then.
 */

enum prewarm_operation_code {
  PREWARM_OP_CLONE,
  PREWARM_OP_EXEC,
  PREWARM_OP_EXEC_FD,
  PREWARM_OP_OPEN,
  PREWARM_OP_DUP,
  PREWARM_OP_CLOSE,
  PREWARM_OP_CLOSE_RANGE,
  PREWARM_OP_KEEP_ONLY,
  PREWARM_OP_CHDIR,
  PREWARM_OP_FCHDIR,
  PREWARM_OP_CHROOT,
  PREWARM_OP_UMASK,
  PREWARM_OP_SETSID,
  PREWARM_OP_SETPGID,
  PREWARM_OP_TAKE_TERMINAL,
  PREWARM_OP_DROP_TERMINAL,
  PREWARM_OP_FOREGROUND,
  PREWARM_OP_SIGNAL_MASK,
  PREWARM_OP_SIGNAL_DEFAULT,
  PREWARM_OP_SIGNAL_IGNORE,
  PREWARM_OP_DEATH_SIGNAL,
  PREWARM_OP_USER,
  PREWARM_OP_GROUP,
  PREWARM_OP_GROUPS,
  PREWARM_OP_RESET_IDS,
  PREWARM_OP_AMBIENT_CAPABILITY,
  PREWARM_OP_NO_NEW_PRIVILEGES,
  PREWARM_OP_ID_MAPS,
  PREWARM_OP_LIMIT,
  PREWARM_OP_NICE,
  PREWARM_OP_SCHEDULER,
  PREWARM_OP_AFFINITY,
  PREWARM_OP_OOM_SCORE,
  PREWARM_OP_CGROUP,
  PREWARM_OP_UNSHARE,
  PREWARM_OP_SECCOMP,
  PREWARM_OP_LANDLOCK,
  PREWARM_OP_TRACE_ME
};

/* Flags of an operation. */
#define PREWARM_LINK 1u      /* the next one runs after it, if it succeeds (exec: if it fails) */
#define PREWARM_HARD_LINK 2u /* the next one runs after it even if it fails (exec: never) */

typedef struct prewarm_operation {
  uint64_t user_data; /* comes back with the completion */
  uint32_t flags;
  uint32_t code;
  /* What the functions below put here is their own business. */
  int32_t fd;
  int32_t other;
  uint64_t value;
  uint64_t more;
  const void* data;
  const void* extra;
  size_t size;
  uint64_t reserved[2];
} prewarm_operation;

typedef struct prewarm_inherited {
  int source; /* a descriptor of the caller */
  int target; /* its number in the program */
} prewarm_inherited;

typedef struct prewarm_clone_options {
  size_t size;
  int namespaces;  /* CLONE_NEW*, or 0 */
  int cgroup;      /* directory of a cgroup v2 where the process begins, or -1 */
  int pidfd;       /* whether the completion brings one */
  int detached;    /* nobody will wait for it: the ring does */
  int exit_signal; /* what the parent gets when it ends; 0 none */
} prewarm_clone_options;
#define PREWARM_CLONE_OPTIONS_INIT {sizeof(prewarm_clone_options), 0, -1, 1, 0, SIGCHLD}

/* Begins a chain: makes the task that runs it. NULL: the options of PREWARM_CLONE_OPTIONS_INIT. */
prewarm_operation prewarm_op_clone(const prewarm_clone_options* options);
/* End a chain: execve(2), and execveat(2) of an open file. A path without a slash is not searched
 * for. */
prewarm_operation prewarm_op_exec(const char* path, char* const argv[], char* const env[]);
prewarm_operation prewarm_op_exec_fd(int fd, char* const argv[], char* const env[]);

/* Descriptor `fd` becomes open(path, flags, mode), whatever it was. */
prewarm_operation prewarm_op_open(int fd, const char* path, int flags, mode_t mode);
/* `to` becomes a copy of `from`, without close-on-exec, also if they are the same. */
prewarm_operation prewarm_op_dup(int from, int to);
prewarm_operation prewarm_op_close(int fd); /* closed already is no error */
prewarm_operation prewarm_op_close_range(unsigned first, unsigned last); /* inclusive */
/* The process has exactly these descriptors; no target twice. */
prewarm_operation prewarm_op_keep_only(const prewarm_inherited* map, size_t count);

prewarm_operation prewarm_op_chdir(const char* path);
prewarm_operation prewarm_op_fchdir(int fd);
prewarm_operation prewarm_op_chroot(const char* path); /* and chdir to it */
prewarm_operation prewarm_op_umask(mode_t mask);

prewarm_operation prewarm_op_setsid(void);
prewarm_operation prewarm_op_setpgid(pid_t group);  /* 0: a group of its own */
prewarm_operation prewarm_op_take_terminal(int fd); /* controlling terminal of its session */
prewarm_operation prewarm_op_drop_terminal(void);   /* no error if there is none */
prewarm_operation prewarm_op_foreground(int fd);    /* its process group, of the terminal fd */

prewarm_operation prewarm_op_signal_mask(const sigset_t* mask);
prewarm_operation prewarm_op_signal_default(const sigset_t* signals); /* even if ignored now */
prewarm_operation prewarm_op_signal_ignore(const sigset_t* signals);
prewarm_operation prewarm_op_death_signal(int signal); /* when the parent ends (prctl(2)) */

prewarm_operation prewarm_op_user(uid_t real, uid_t effective, uid_t saved); /* -1: as it is */
prewarm_operation prewarm_op_group(gid_t real, gid_t effective, gid_t saved);
prewarm_operation prewarm_op_groups(const gid_t* supplementary, size_t count);
prewarm_operation prewarm_op_reset_ids(void); /* effective := real, group first */
prewarm_operation prewarm_op_ambient_capability(int capability);
prewarm_operation prewarm_op_no_new_privileges(void);
/* For a new user namespace: lines of uid_map and gid_map (user_namespaces(7)), or NULL. */
prewarm_operation prewarm_op_id_maps(const char* uid_map, const char* gid_map);

prewarm_operation prewarm_op_limit(int resource, rlim_t soft, rlim_t hard);
prewarm_operation prewarm_op_nice(int value); /* absolute */
prewarm_operation prewarm_op_scheduler(int policy, int priority);
/* `processors` is a cpu_set_t, `size` its size (sched_setaffinity(2)). */
prewarm_operation prewarm_op_affinity(size_t size, const void* processors);
prewarm_operation prewarm_op_oom_score(int adjustment); /* -1000 to 1000 */
prewarm_operation prewarm_op_cgroup(int directory);     /* for kernels whose clone can't */

prewarm_operation prewarm_op_unshare(int namespaces);
/* Both need prewarm_op_no_new_privileges before them, or root. */
prewarm_operation prewarm_op_seccomp(const struct sock_fprog* filter, unsigned flags);
prewarm_operation prewarm_op_landlock(int ruleset);
prewarm_operation prewarm_op_trace_me(void);

/* ---- The ring ----------------------------------------------------------------------------------
 *
 * prewarm_ring(7). All functions but create and free may be called by any thread at any time.
 */

typedef struct prewarm_ring prewarm_ring;

enum prewarm_backend {
  PREWARM_BACKEND_AUTOMATIC,     /* the first of the others that works here */
  PREWARM_BACKEND_SHARED_MEMORY, /* copies nothing, nobody waits */
  PREWARM_BACKEND_VFORK,         /* the same, but submit waits for the exec */
  PREWARM_BACKEND_FORK,          /* a copy of the caller */
  PREWARM_BACKEND_POSIX_SPAWN,   /* the C library's; can't express every chain (-EOPNOTSUPP) */
  PREWARM_BACKEND_IO_URING       /* the kernel's own operations, where it has them */
};

/* 0: the backend can be used here; else -errno, and if `why` isn't NULL one sentence in its `size`
 * bytes. */
int prewarm_probe(enum prewarm_backend backend, char* why, size_t size);

typedef struct prewarm_ring_options {
  size_t size;
  unsigned entries;     /* operations in the submission queue, rounded up to a power of two */
  unsigned completions; /* that may be outstanding; 0: four times entries */
  enum prewarm_backend backend;
  int own_task;     /* a task of the ring's own makes the tasks; there is a descriptor to poll */
  int opcode_clone; /* of kernels that have them; else -1 */
  int opcode_exec;
  unsigned awake_us; /* how long that task looks for more work before it sleeps */
} prewarm_ring_options;
#define PREWARM_RING_OPTIONS_INIT \
  {sizeof(prewarm_ring_options), 256, 0, PREWARM_BACKEND_AUTOMATIC, 1, -1, -1, 0}

typedef struct prewarm_completion {
  uint64_t user_data;
  int32_t result; /* -errno, or what succeeded: of a clone the pid, of all others 0 */
  uint32_t code;  /* of the operation */
  int32_t pidfd;  /* of a clone that succeeded, else -1. The caller's to close */
  uint32_t reserved;
} prewarm_completion;

/* NULL options: those of PREWARM_RING_OPTIONS_INIT. -EINVAL, -ENOTSUP, or what failed. */
int prewarm_ring_create(const prewarm_ring_options* options, prewarm_ring** ring);
/* Chains that have not begun are dropped; those under way are waited for until their exec. */
void prewarm_ring_free(prewarm_ring* ring);
/* -EAGAIN: the queue has no room, submit first. -EINVAL: no operation of this library. */
int prewarm_ring_push(prewarm_ring* ring, const prewarm_operation* operation);
/* All of them, linked, or none. */
int prewarm_ring_push_chain(prewarm_ring* ring, const prewarm_operation* operations, size_t count);
/* How many operations were handed over. -EBUSY: reap first. */
int prewarm_ring_submit(prewarm_ring* ring);
/* How many completions there were, at most `size`. Never blocks. */
int prewarm_ring_reap(prewarm_ring* ring, prewarm_completion* completions, size_t size);
/* The same, waiting for the first. 0: nothing is under way, or the time is over. timeout_ms < 0:
 * for ever. -EINTR: a signal handler ran. */
int prewarm_ring_wait(prewarm_ring* ring, prewarm_completion* completions, size_t size,
                      int timeout_ms);
/* Operations that have been submitted and whose completions have not been taken. */
unsigned prewarm_ring_outstanding(const prewarm_ring* ring);
/* Readable when there may be something to reap, for poll(2). The ring's. -1: it has no task. */
int prewarm_ring_pollable(const prewarm_ring* ring);
/* Ends the chain whose clone has this user data, unless its program runs: -EALREADY. -ENOENT. */
int prewarm_ring_cancel(prewarm_ring* ring, uint64_t user_data);
enum prewarm_backend prewarm_ring_backend(const prewarm_ring* ring);

/* ---- Processes ---------------------------------------------------------------------------------
 *
 * A child, until it has been waited for. Belongs to one thread at a time.
 */

typedef struct prewarm_process prewarm_process;

enum prewarm_stream { PREWARM_IN, PREWARM_OUT, PREWARM_ERR };

typedef struct prewarm_exit {
  int wait_status; /* waitpid(2): WIFEXITED and the like */
  int timed_out;   /* it was killed because its time was over */
  struct rusage usage;
  uint64_t reserved[4];
} prewarm_exit;

typedef struct prewarm_output {
  prewarm_exit exit;
  char* out; /* a null byte follows */
  size_t out_size;
  char* err;
  size_t err_size;
  int truncated; /* it wrote more than was kept */
} prewarm_output;

typedef struct prewarm_capture_options {
  size_t size;
  const void* input; /* for the program to read; NULL: none */
  size_t input_size;
  size_t max_bytes;   /* kept of each stream */
  int kill_when_full; /* else what is more is read and thrown away */
  int timeout_ms;     /* after which the program is killed; -1: none */
} prewarm_capture_options;
#define PREWARM_CAPTURE_OPTIONS_INIT \
  {sizeof(prewarm_capture_options), NULL, 0, (size_t)64 << 20, 0, -1}

/* Takes over the duty to wait for a child of this process, and its pidfd (or -1). */
prewarm_process* prewarm_process_adopt(pid_t pid, int pidfd);
/* One that has not been waited for is killed and waited for, if the command said so; else it runs
 * on, and is reaped by the library when it has ended. */
void prewarm_process_free(prewarm_process* process);
pid_t prewarm_process_pid(const prewarm_process* process);
int prewarm_process_pidfd(const prewarm_process* process); /* readable when it has ended, or -1 */
/* Our end of a stream that is a pipe, or -1. It stays the process's... */
int prewarm_process_stream(const prewarm_process* process, enum prewarm_stream stream);
/* ...but for this: the caller has to close it. */
int prewarm_process_take_stream(prewarm_process* process, enum prewarm_stream stream);
void prewarm_process_close_stream(prewarm_process* process, enum prewarm_stream stream);
/* 1: it has ended; 0: not in that time. timeout_ms < 0: waits for ever. Closes our end of its input
 * first, unless timeout_ms is 0. `exit` may be NULL. */
int prewarm_process_wait(prewarm_process* process, int timeout_ms, prewarm_exit* exit);
/* -ESRCH: it has been waited for. Never reaches another process of the same number. */
int prewarm_process_kill(prewarm_process* process, int signal);
/* Input, output and errors at once, until both streams and the program have ended. */
int prewarm_process_capture(prewarm_process* process, const prewarm_capture_options* options,
                            prewarm_output** output);
void prewarm_output_free(prewarm_output* output);

/* ---- Commands ----------------------------------------------------------------------------------
 *
 * prewarm_spawn(3), prewarm/command.h: what a program is to be started with, how its surroundings
 * are without further words, and in which order steps are made. A bad argument of a function that
 * returns nothing is remembered, and the next start fails with -EINVAL.
 */

typedef struct prewarm_command prewarm_command;

/* A name without a slash is looked for along PATH of the program's environment. */
prewarm_command* prewarm_command_new(const char* program);
void prewarm_command_free(prewarm_command* command);

void prewarm_command_arg(prewarm_command* command, const char* argument);
void prewarm_command_args(prewarm_command* command, const char* const arguments[]); /* NULL ends */
void prewarm_command_argv0(prewarm_command* command, const char* name);
void prewarm_command_env(prewarm_command* command, const char* name, const char* value);
void prewarm_command_unset_env(prewarm_command* command, const char* name);
void prewarm_command_clear_env(prewarm_command* command);

void prewarm_command_inherit_stream(prewarm_command* command, enum prewarm_stream stream);
void prewarm_command_null(prewarm_command* command, enum prewarm_stream stream);
void prewarm_command_pipe(prewarm_command* command, enum prewarm_stream stream);
void prewarm_command_file(prewarm_command* command, enum prewarm_stream stream, const char* path,
                          int flags, mode_t mode);
/* The caller's, and must be open when the command is started. */
void prewarm_command_descriptor(prewarm_command* command, enum prewarm_stream stream, int fd);
void prewarm_command_closed(prewarm_command* command, enum prewarm_stream stream);
void prewarm_command_err_to_out(prewarm_command* command);
/* Descriptor `target` (3 or more) of the program is the caller's `source`. */
void prewarm_command_inherit(prewarm_command* command, int source, int target);

void prewarm_command_directory(prewarm_command* command, const char* path);
/* Any other operation but clone and exec: umask, setsid, setpgid, limits, nice, landlock...
 * Descriptors of fchdir, cgroup and landlock are the caller's, those of others the program's. */
void prewarm_command_setup(prewarm_command* command, const prewarm_operation* operation);

enum prewarm_signals {
  PREWARM_SIGNALS_USUAL,      /* none blocked, SIGPIPE not ignored, others as the caller has them */
  PREWARM_SIGNALS_INHERIT,    /* as the calling thread has them */
  PREWARM_SIGNALS_ALL_DEFAULT /* none blocked, none ignored */
};
void prewarm_command_signals(prewarm_command* command, enum prewarm_signals how);
/* Of run and capture: then the program is killed. -1: none. */
void prewarm_command_timeout(prewarm_command* command, int timeout_ms);
void prewarm_command_kill_on_drop(prewarm_command* command, int yes);
void prewarm_command_kill_group(prewarm_command* command); /* its own group, killed as one */

/* The program runs; or -errno, and there is no child. */
int prewarm_command_spawn(prewarm_command* command, prewarm_process** process);
/* ...and has ended. Without pipes. */
int prewarm_command_run(prewarm_command* command, prewarm_exit* exit);
/* ...and has been read to the end. NULL options: those of PREWARM_CAPTURE_OPTIONS_INIT. */
int prewarm_command_capture(prewarm_command* command, const prewarm_capture_options* options,
                            prewarm_output** output);
/* What the last of these three that failed has to say: "chdir /nowhere: No such file or directory".
 * Until the next of them, or free. */
const char* prewarm_command_error(const prewarm_command* command);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif

#endif /* PREWARM_PREWARM_H_ */

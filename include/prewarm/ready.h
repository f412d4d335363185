/* SPDX-License-Identifier: MIT
 *
 * The ready point: where a program has loaded what it needs, and has not yet looked at what it is
 * asked to do.
 *
 * Whoever wants many invocations of a program can have it run up to there once and be held; each
 * invocation is then a copy of the held process, made ahead, which goes on from there with its own
 * arguments, environment, directory, descriptors, umask and signals, as if it had been started
 * with them.
 *
 * The function is in libprewarm-agent.so, which is loaded into programs that are to be held and
 * into no others. So a program looks for it:
 *
 *     typedef int prewarm_ready_function(struct prewarm_ready_launch*);
 *     prewarm_ready_function* ready =
 *         (prewarm_ready_function*)dlsym(RTLD_DEFAULT, "prewarm_ready");
 *     struct prewarm_ready_launch point = {.size = sizeof point};
 *     if (ready != NULL && ready(&point) == 1) {
 *       argc = point.argc;
 *       argv = point.argv;
 *     }
 *
 * A program that is to be held finds the variable PREWARM_READY in its environment, with its own
 * process id as the value. If it finds another value it is a child of such a program, and nobody
 * holds it. If it finds its own id and no function, or nothing but zeros, then the agent could not
 * be loaded: it must end, having done nothing, because nobody wants what it would do.
 *
 * Until it is held such a program has /dev/null as standard input, output and error, and every
 * signal blocked; so what it prints is lost, and programs that it starts must not need signals.
 * What it has done by then, all invocations have in common: it is the program's own choice.
 *
 * It must have one thread, and no descriptors open but 0, 1 and 2. Otherwise it is not held but
 * ends, and whoever wanted that is told why.
 */
#ifndef PREWARM_READY_H
#define PREWARM_READY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  /* The program makes its signal state itself, from signal_mask and signal_ignored; until it does
   * all signals are blocked. Without it the agent does: the mask is set, and those signals are
   * ignored for which the program has not set anything else. */
  PREWARM_READY_OWN_SIGNALS = 1
};

/* Zeroed but for what is used; must stay until the function returns. */
struct prewarm_ready_launch {
  size_t size; /* sizeof(struct prewarm_ready_launch) */
  unsigned flags;

  /* What the point depends on. Rows that end with a null pointer, or null.
   * Files, by absolute names: if one changes, appears or goes, the program is started anew. What
   * is mapped (the program and its libraries) is known. Together about 60 KiB of names. */
  const char* const* files;
  /* Names of variables whose values matter, beside those that were asked for by getenv(3): an
   * invocation with other values is refused. */
  const char* const* variables;
  /* Names of variables of which nothing has come though they were asked for. */
  const char* const* independent;

  /* Called in each copy, before anybody asks for it: renews what copies must not have in common.
   * What was registered by pthread_atfork(3) is called, too. Descriptors 0, 1 and 2 are closed. */
  void (*in_clone)(void);

  /* The invocation. The strings stay for as long as the process lives. environ(7) is envp. */
  int first; /* argv[first] is the program's own name: more than 0 if it has an interpreter */
  int argc;
  char** argv;
  char** envp;
  uint64_t signal_mask;    /* bit n-1 is signal n */
  uint64_t signal_ignored; /* which it was to find ignored */
};

/*
 * 1: the process is a copy, and *point has its invocation. Returns as often as there are
 * invocations, each time in another process.
 * 0: nobody wants to hold this process: it goes on as it was started.
 */
int prewarm_ready(struct prewarm_ready_launch* point);

#ifdef __cplusplus
}
#endif

#endif

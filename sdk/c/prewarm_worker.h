/* SPDX-License-Identifier: MIT
 *
 * A tool in C or C++ as a coprocess (docs/protocol/capers.md). To use it, compile prewarm_worker.c
 * with the tool, or link libprewarm, and change its main:
 *
 *   static int tool_main(int argc, char** argv) { ... }
 *   int main(int argc, char** argv) { return prewarm_serve(argc, argv, tool_main); }
 *
 * Needs Linux with glibc or musl, and nothing else.
 */
#ifndef PREWARM_WORKER_H
#define PREWARM_WORKER_H

#ifdef __cplusplus
extern "C" {
#endif

typedef int prewarm_main(int argc, char** argv);

/* If the process was not started as a coprocess: calls `tool`, and returns what it returns.
 *
 * Otherwise serves requests, one after the other, and exits when there will be no more. For each it
 * sets up arguments, environment, working directory, umask and the descriptors 0 to 2 as the
 * request says, calls `tool`, flushes all streams, and answers with what `tool` returned, as
 * exit(3) would (its lowest eight bits).
 *
 * Between two calls `environ`, the position of getopt(3), errno, and buffers and states of stdin,
 * stdout and stderr are as at the start of a process. All other variables of the program keep their
 * values: that is what is saved, and what the tool has to be right with. So do signal dispositions,
 * locale, open descriptors, and wide orientation of streams.
 *
 * Strings in argv and environ are valid during the call.
 *
 * If `tool` calls exit(3), or is killed, that is the request's status, and the next request gets a
 * new process. Call it before any thread is made, and before 0 to 2 are read from or written to.
 */
int prewarm_serve(int argc, char** argv, prewarm_main* tool);

#ifdef __cplusplus
}

namespace prewarm {

inline int serve(int argc, char** argv, prewarm_main* tool) {
  return prewarm_serve(argc, argv, tool);
}

} /* namespace prewarm */
#endif

#endif

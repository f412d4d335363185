// SPDX-License-Identifier: MIT
/*
 * What bash's tests call ${THIS_SH}. Compiled once with SUBJECT, the path of prewarm,
 * and once without, to be plain bash. A program rather than a script, because sh would
 * drop exported functions and set variables of its own on the way.
 *
 * The tests call it in every way in which bash can be called. Those that `prewarm run`
 * takes go there; all others go to bash itself:
 *
 *   THIS_SH FILE ARGS…      prewarm run FILE ARGS…
 *   THIS_SH -c TEXT ARGS…   prewarm run -c TEXT ARGS…
 *   THIS_SH <FILE           prewarm run <FILE        (unless a terminal)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BASH "/bin/bash"

static void exec_bash(char** argv) {
  execv(BASH, argv);
  perror(BASH);
  exit(126);
}

static const char* last_part(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

#ifdef SUBJECT

static int is_for_subject(int argc, char** argv) {
  /* A copy named sh, or a login shell's "-bash", asks for another bash. */
  if (strcmp(last_part(argv[0]), "bash") != 0) return 0;
  if (argc == 1) return !isatty(0);
  if (strcmp(argv[1], "-c") == 0) return argc > 2 && argv[2][0] != '-' && argv[2][0] != '+';
  return argv[1][0] != '-' && argv[1][0] != '+' && argv[1][0] != '\0';
}

static void exec_subject(int argc, char** argv) {
  static const char* const options[] = {OPTIONS};
  size_t count = sizeof options / sizeof *options - 1;
  char** words = calloc((size_t)argc + count + 3, sizeof *words);
  char** next = words;

  *next++ = "prewarm";
  *next++ = "run";
  for (size_t i = 0; i < count; i++) *next++ = (char*)options[i];
  for (int i = 1; i < argc; i++) *next++ = argv[i];
  execv(SUBJECT, words);
  perror(SUBJECT);
  exit(126);
}

#endif

int main(int argc, char** argv) {
#ifdef SUBJECT
  if (is_for_subject(argc, argv)) exec_subject(argc, argv);
#else
  (void)argc;
#endif
  /* The name prewarm gives to bash: messages that begin with $0 must not differ. */
  if (strcmp(last_part(argv[0]), "bash") == 0) argv[0] = "bash";
  exec_bash(argv);
}

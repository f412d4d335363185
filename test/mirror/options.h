// SPDX-License-Identifier: MIT
//
// The mirror's command line. Everything that isn't one of these options is payload: it is there
// to be seen in argv.
//
//   --output FILE     append the report to FILE (opened after everything was observed, so that no
//                     descriptor of the caller is needed); otherwise it goes to stdout
//   --shell-pid PID   the shell's $$: what parent, session and process group are compared with.
//                     The number itself is masked wherever argv is shown
//   --linger MS       stay this long before exiting, as a program that does some work would
//   --read N          read N bytes of stdin and show them
//   --say TEXT        write TEXT and a newline to stdout through stdio, flushed by exit
//   --say-error TEXT  the same to stderr
//   --exit N          the exit status
//   --signal N        die of this signal
//   --canary --maps --usage --constructor --child   sections that aren't in the default report
//   --                the rest is payload
#pragma once

#include <string>

namespace mirror {

struct Options {
  std::string output;
  long shell_pid = 0;  // 0: not given
  int linger_ms = 0;
  unsigned long read_bytes = 0;
  std::string say;
  std::string say_error;
  int exit_status = 0;
  int signal = 0;
  bool canary = false;
  bool maps = false;
  bool usage = false;
  bool constructor = false;
  bool child = false;
  bool list_loader_variables = false;  // what --child runs: names of LD_ and PREWARM variables
};

Options parse_options(int argc, char** argv);

}  // namespace mirror

// SPDX-License-Identifier: MIT
//
// The job of docs/spawning.md by prewarm::Command: job DIRECTORY LOG <TEXT
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <iostream>
#include <iterator>

#include "prewarm/command.h"

using prewarm::Command;
using prewarm::Stdio;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string text(std::istreambuf_iterator<char>(std::cin), {});

  const auto output = Command("sort")
                          .arg("-u")
                          .env("LC_ALL", "C")
                          .directory(argv[1])
                          .err(Stdio::append(argv[2]))
                          .limit(RLIMIT_AS, 1 << 30)
                          .death_signal(SIGKILL)
                          .capture({.input = text,
                                    .max_bytes = 1 << 20,
                                    .kill_when_full = true,
                                    .timeout = std::chrono::seconds(10)});
  if (!output) {
    std::cerr << output.error().message() << '\n';
    return 1;
  }
  std::cout << output->out;
  return output->success() ? 0 : 1;
}

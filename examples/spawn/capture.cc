// SPDX-License-Identifier: MIT
//
// capture PROGRAM [ARGUMENT...]: gives standard input to a program, and says what it wrote, how it
// ended, and what it used. It may take ten seconds and write a megabyte.
#include <chrono>
#include <iostream>
#include <iterator>
#include <string>

#include "prewarm/command.h"

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: capture PROGRAM [ARGUMENT...]\n";
    return 2;
  }
  const std::string input(std::istreambuf_iterator<char>(std::cin), {});

  prewarm::Command command(argv[1]);
  for (int i = 2; i < argc; ++i) command.arg(argv[i]);
  command.env("LC_ALL", "C").kill_group();
  const auto output = command.capture({.input = input, .max_bytes = 1 << 20, .timeout = 10s});

  if (!output) {
    std::cerr << "capture: " << output.error().message() << '\n';
    return 127;
  }
  std::cout << "status: " << (output->timed_out ? "out of time" : output->status.message()) << '\n'
            << "output: " << output->out.size() << " bytes" << (output->truncated ? "+" : "")
            << '\n'
            << output->out << "errors: " << output->err.size() << " bytes\n"
            << output->err << "memory: " << output->usage.ru_maxrss << " KiB\n";
  return output->success() ? 0 : 1;
}

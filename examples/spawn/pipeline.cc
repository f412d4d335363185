// SPDX-License-Identifier: MIT
//
// pipeline FILE: the words of a file by frequency, as the shell says it:
//
//   tr -cs A-Za-z '\n' <FILE | sort | uniq -c
#include <iostream>

#include "prewarm/command.h"

using prewarm::Command;
using prewarm::Process;
using prewarm::Stdio;

namespace {

// Starts `command` with what `before` writes, if there is one. Our end of the pipe in between is
// closed: else `before` would never learn that its reader is gone.
Process start(Command& command, Process* before) {
  if (before != nullptr) command.in(Stdio::descriptor(before->out().get()));
  auto process = command.spawn();
  if (before != nullptr) before->out().reset();
  if (!process) {
    std::cerr << process.error().message() << '\n';
    std::exit(1);
  }
  return *std::move(process);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: pipeline FILE\n";
    return 2;
  }
  Command words("tr");
  words.args({"-cs", "A-Za-z", "\\n"}).in(Stdio::read(argv[1])).out(Stdio::pipe());
  Command sorted("sort");
  sorted.out(Stdio::pipe());
  Command counted("uniq");
  counted.arg("-c");

  Process first = start(words, nullptr);
  Process second = start(sorted, &first);
  Process third = start(counted, &second);

  int failures = 0;
  for (Process* process : {&first, &second, &third}) {
    const auto ended = process->wait();
    if (!ended || !ended->success()) ++failures;
  }
  return failures;
}

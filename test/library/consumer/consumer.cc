// SPDX-License-Identifier: MIT
//
// A program that knows the library only as it is installed.
#include <prewarm/command.h>
#include <prewarm/spawn.h>

#include <iostream>

int main() {
  const auto output = prewarm::Command("echo").arg("from C++").capture();
  if (!output) return 1;
  std::cout << output->out;
  return prewarm::SpawnRing::create() ? 0 : 1;
}

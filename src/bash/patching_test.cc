// SPDX-License-Identifier: GPL-3.0-or-later
//
// On the test program itself, in forked children.
#include "bash/patching.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "os/testing.h"

namespace prewarm::bash {
namespace {

using os::Child;

pid_t invented_parent() { return 4711; }

bool import_getppid() {
  Patcher patcher;
  void* original = nullptr;
  return patcher.import("getppid", reinterpret_cast<void*>(&invented_parent), &original) &&
         patcher.finish() && ::getppid() == invented_parent() &&
         reinterpret_cast<pid_t (*)()>(original)() != invented_parent() &&
         // Also if this was its first call, at which ld.so would have bound it.
         ::getppid() == invented_parent();
}

// How each page of this program's file is protected.
std::map<unsigned long, std::string> protections() {
  char self[4096] = {};
  EXPECT_GT(::readlink("/proc/self/exe", self, sizeof self - 1), 0);
  std::map<unsigned long, std::string> pages;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long start = 0;
    unsigned long end = 0;
    char how[8] = {};
    if (!line.ends_with(self)) continue;
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &start, &end, how) != 3) continue;
    for (; start < end; start += 4096) pages[start] = how;
  }
  return pages;
}

// /proc/self/mem can't be opened by a process without descriptors.
bool import_without_memory_file() {
  rlimit before{};
  if (::getrlimit(RLIMIT_NOFILE, &before) != 0) return false;
  const rlimit lowered{0, before.rlim_max};
  if (::setrlimit(RLIMIT_NOFILE, &lowered) != 0) return false;
  const bool imported = import_getppid();
  return ::setrlimit(RLIMIT_NOFILE, &before) == 0 && imported;
}

TEST(PatchingTest, AnImportIsReplacedAndCanStillBeCalled) {
  EXPECT_EQ(Child([] { return import_getppid() ? 0 : 1; }).wait(), 0);
}

TEST(PatchingTest, WhatIsNotImportedIsRefused) {
  Patcher patcher;
  void* original = nullptr;
  EXPECT_FALSE(patcher.import("no_such_function", nullptr, &original));
  EXPECT_EQ(original, nullptr);
}

// Else the first call that ld.so binds later would end the program, where it binds lazily.
TEST(PatchingTest, ThePagesKeepTheirProtection) {
  const auto before = protections();
  ASSERT_FALSE(before.empty());
  Child child([&before] {
    if (!import_without_memory_file()) return 1;
    return protections() == before ? 0 : 2;
  });
  EXPECT_EQ(child.wait(), 0);
}

}  // namespace
}  // namespace prewarm::bash

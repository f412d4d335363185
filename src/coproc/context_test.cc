// SPDX-License-Identifier: MIT
#include "coproc/context.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "os/testing.h"

namespace prewarm::coproc {
namespace {

// The context of a child that has done `change`; empty if it couldn't.
template <class Change>
std::string context_after(Change change) {
  os::Pipe ready = os::make_pipe();
  os::Pipe end = os::make_pipe();
  const pid_t pid = ::fork();
  if (pid == 0) {
    end.write.reset();
    const char done = change() ? 'y' : 'n';
    char nothing;
    if (::write(ready.write.get(), &done, 1) == 1 && ::read(end.read.get(), &nothing, 1) != 0) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  char done = 'n';
  EXPECT_EQ(::read(ready.read.get(), &done, 1), 1);
  const std::string context = done == 'y' ? context_of(pid) : "";
  end.write.reset();
  int status;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return context;
}

TEST(ContextTest, IsThatOfAnyChild) {
  const std::string own = context_of(::getpid());
  EXPECT_FALSE(own.empty());
  EXPECT_EQ(context_after([] { return true; }), own);
}

TEST(ContextTest, IsAnotherWithoutNewPrivileges) {
  const auto change = [] { return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0; };
  const std::string other = context_after(change);
  EXPECT_FALSE(other.empty());
  EXPECT_NE(other, context_of(::getpid()));
}

TEST(ContextTest, IsAnotherInANamespace) {
  const auto change = [] { return ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0; };
  const std::string other = context_after(change);
  if (other.empty()) GTEST_SKIP() << "namespaces can't be made here";
  EXPECT_NE(other, context_of(::getpid()));
}

TEST(ContextTest, OfNobodyIsNone) { EXPECT_EQ(context_of(0), ""); }

}  // namespace
}  // namespace prewarm::coproc

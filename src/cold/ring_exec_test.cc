// SPDX-License-Identifier: MIT
//
// What becomes of exec, whatever stands at the path; and of programs whose parent, or submitter, is
// gone.
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "cold/testing.h"
#include "os/process.h"

namespace prewarm::cold {
namespace {

constexpr uid_t kNobody = 65534;

char some_name[] = "some";
char* some_argv[] = {some_name, nullptr};

// The path must be there until the chain is submitted.
Operation exec(const char* path) { return op::exec(path, some_argv, environ); }
Operation exec(const std::string& path) { return exec(path.c_str()); }

class Exec : public RingTest {
 protected:
  // What exec says about a file of these contents.
  int result_of(const std::string& bytes, mode_t mode = 0755) {
    const std::string path = put("file", bytes, mode);
    return run({exec(path)}).results[2];
  }
  std::string put(const std::string& name, const std::string& bytes, mode_t mode = 0755) {
    const std::string path = files_ / name;
    os::write_file(path, bytes);
    ::chmod(path.c_str(), mode);
    return path;
  }
  std::string at(const std::string& name) const { return files_ / name; }
  const std::string& directory() const { return files_.path(); }

 private:
  os::TempDirectory files_;
};
INSTANTIATE_TEST_SUITE_P(Backends, Exec, executor_kinds(), name_of);

TEST_P(Exec, WhatIsntThere) {
  EXPECT_EQ(run({exec(at("missing"))}).results[2], -ENOENT);
  EXPECT_EQ(run({exec("")}).results[2], -ENOENT);
  EXPECT_EQ(run({exec("true")}).results[2], -ENOENT) << "PATH isn't searched";
  EXPECT_EQ(run({exec("/bin/true/")}).results[2], -ENOTDIR);
  EXPECT_EQ(run({exec(std::string(5000, 'x'))}).results[2], -ENAMETOOLONG);
  EXPECT_EQ(run({exec(at(std::string(256, 'x')))}).results[2], -ENAMETOOLONG);
  ASSERT_EQ(::symlink("loop", at("loop").c_str()), 0);
  EXPECT_EQ(run({exec(at("loop"))}).results[2], -ELOOP);
}

TEST_P(Exec, WhatMayNotBeExecuted) {
  EXPECT_EQ(result_of("#!/bin/sh\n", 0644), -EACCES);
  EXPECT_EQ(run({exec(directory())}).results[2], -EACCES);
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0755), 0);
  EXPECT_EQ(run({exec(at("fifo"))}).results[2], -EACCES);
}

TEST_P(Exec, WhoeverMayNotReadAFileMayStillRunIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may become somebody who may not";
  ASSERT_EQ(::chmod(directory().c_str(), 0755), 0);
  const Operation nobody = op::user(kNobody, kNobody, kNobody);
  const std::string binary = put("binary", os::read_file("/bin/true"), 0711);
  EXPECT_EQ(run({nobody, exec(binary)}).status, 0);
  EXPECT_EQ(run({nobody, exec(put("private", "", 0700))}).results[3], -EACCES);
  ASSERT_EQ(::chmod(directory().c_str(), 0700), 0);
  EXPECT_EQ(run({nobody, exec(binary)}).results[3], -EACCES) << "no way through the directory";
}

TEST_P(Exec, WhatIsNoProgram) {
  const std::string whole = os::read_file("/bin/true");
  EXPECT_EQ(result_of(""), -ENOEXEC);
  EXPECT_EQ(result_of("echo a script by custom only\n"), -ENOEXEC);
  EXPECT_EQ(result_of(whole.substr(0, 16)), -ENOEXEC);
  EXPECT_EQ(result_of(whole.substr(0, 100)), -ENOEXEC) << "its table of segments isn't there";
  // Of another processor: e_machine.
  std::string other = whole;
  other[18] = other[19] = '\x7f';
  EXPECT_EQ(result_of(other), -ENOEXEC);
}

// The kernel finds out only when the old memory is gone: the exec has taken place.
TEST_P(Exec, WhatIsFoundToBeNoProgramTooLateIsKilled) {
  const std::string whole = os::read_file("/bin/true");
  const Outcome o = run({exec(put("half", whole.substr(0, whole.size() / 4)))});
  EXPECT_EQ(o.results[2], 0);
  EXPECT_TRUE(WIFSIGNALED(o.status)) << o.status;
}

TEST_P(Exec, ScriptsAreRunByTheirInterpreter) {
  const std::string script = put("script", "#!/bin/echo said\n");
  EXPECT_EQ(program({}, {script, "what"}), "said " + script + " what\n");
  EXPECT_EQ(result_of("#!/nonexistent/interpreter\n"), -ENOENT);
  EXPECT_EQ(result_of("#!" + put("plain", "#!/bin/sh\n", 0644) + "\n"), -EACCES);
  EXPECT_EQ(result_of("#!/bin\n"), -EACCES);
  EXPECT_EQ(result_of("#!\n"), -ENOEXEC);
  EXPECT_EQ(result_of("#!" + at("file") + "\n"), -ELOOP) << "its own interpreter";
}

TEST_P(Exec, WhatIsBeingWrittenIsBusy) {
  const std::string path = put("busy", os::read_file("/bin/true"));
  {
    const Fd writer(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(run({exec(path)}).results[2], -ETXTBSY);
    // It is so, too, if the chain itself has it open.
    const Outcome o = run({op::open(9, path.c_str(), O_WRONLY), op::close(9), exec(path)});
    EXPECT_EQ(o.results[4], -ETXTBSY);
  }
  EXPECT_EQ(run({exec(path)}).status, 0);
}

TEST_P(Exec, ArgumentsAndEnvironmentHaveALimit) {
  std::string large(std::size_t{128} << 10, 'x');  // MAX_ARG_STRLEN with its end
  char* strings[] = {large.data(), nullptr};
  EXPECT_EQ(run({op::exec("/bin/true", strings, environ)}).results[2], -E2BIG);
  EXPECT_EQ(run({op::exec("/bin/true", some_argv, strings)}).results[2], -E2BIG);
  large.pop_back();
  strings[0] = large.data();
  EXPECT_EQ(run({op::exec("/bin/true", strings, environ)}).status, 0);
  // All together: a quarter of the stack's limit.
  std::vector<char*> many(64, strings[0]);
  many.push_back(nullptr);
  const rlimit stack{std::size_t{8} << 20, RLIM_INFINITY};
  EXPECT_EQ(
      run({op::limit(RLIMIT_STACK, stack), op::exec("/bin/true", many.data(), environ)}).results[3],
      -E2BIG);
}

TEST_P(Exec, AnOpenFileIsAProgram) {
  const Fd binary(::open("/bin/echo", O_PATH | O_CLOEXEC));
  std::string words[] = {"echo", "said"};
  char* argv[] = {words[0].data(), words[1].data(), nullptr};
  const Outcome o = run({op::exec_fd(binary.get(), argv, environ)});
  EXPECT_EQ(o.results[2], 0);
  EXPECT_EQ(o.output, "said\n");
  EXPECT_EQ(run({op::exec_fd(1000, argv, environ)}).results[2], -EBADF);
  EXPECT_EQ(run({op::exec_fd(-1, argv, environ)}).results[2], -EBADF);
  const Fd no_file(::open("/", O_PATH | O_CLOEXEC));
  EXPECT_EQ(run({op::exec_fd(no_file.get(), argv, environ)}).results[2], -EACCES);
}

// The interpreter opens it by its number.
TEST_P(Exec, AnOpenScriptMustStayOpen) {
  const Fd script(::open(put("script", "#!/bin/sh\necho said $1\n").c_str(), O_RDONLY | O_CLOEXEC));
  std::string words[] = {"script", "what"};
  char* argv[] = {words[0].data(), words[1].data(), nullptr};
  EXPECT_EQ(run({op::exec_fd(script.get(), argv, environ)}).results[2], -ENOENT);
  const Outcome o = run({op::dup(script.get(), 9), op::exec_fd(9, argv, environ)});
  EXPECT_EQ(o.results[3], 0);
  EXPECT_EQ(o.output, "said what\n");
}

TEST_P(Exec, ARowAlongPathFindsTheThird) {
  const std::string denied = put("denied", "", 0644);
  const std::string found = put("found", "#!/bin/echo\n");
  const Outcome o = run({exec(at("missing")), exec(denied), exec(found), exec("/bin/false")});
  EXPECT_EQ(std::vector(o.results.begin() + 2, o.results.end()),
            (std::vector{-ENOENT, -EACCES, 0, -ECANCELED}));
  EXPECT_EQ(o.output, found + "\n");
  const Outcome none = run({exec(at("missing")), exec(denied)});
  EXPECT_EQ(std::vector(none.results.begin() + 2, none.results.end()),
            (std::vector{-ENOENT, -EACCES}));
}

TEST_P(Exec, NoMoreProcessesMeansNoTask) {
  if (::geteuid() != 0) GTEST_SKIP() << "root has no limit, and only it can become another";
#ifdef __SANITIZE_THREAD__
  if (GetParam().own_task) GTEST_SKIP() << "this sanitizer ends with a thread that isn't made";
#endif
  const std::string said = in_child([this] {
    // A user that nobody else is.
    constexpr uid_t kAlone = 54321;
    if (::setresuid(kAlone, kAlone, kAlone) != 0) return std::string("setresuid");
    renew();  // its thread counts, too, and is this user's
    const std::set<int> before = os::open_descriptors();
    rlimit limit{};
    ::getrlimit(RLIMIT_NPROC, &limit);
    const rlimit none{0, limit.rlim_max};
    ::setrlimit(RLIMIT_NPROC, &none);
    std::string text;
    const auto tell = [&text](const Outcome& o) {
      for (const int result : o.results) text += std::to_string(result > 0 ? 1 : result) + " ";
    };
    tell(run({exec("/bin/true")}));
    text += os::is_childless() && os::open_descriptors() == before ? "nothing left " : "left ";
    ::setrlimit(RLIMIT_NPROC, &limit);
    tell(run({exec("/bin/true")}));
    return text;
  });
  const std::string refused = std::to_string(-EAGAIN);
  const std::string cancelled = std::to_string(-ECANCELED);
  EXPECT_EQ(said, refused + " " + cancelled + " " + cancelled + " nothing left 1 0 0 ");
}

// A ring looks after them itself; another chain makes it look, because nothing tells of their ends.
TEST_P(Exec, NobodyWaitsForADetachedProgram) {
  CloneOptions options;
  options.detached = true;
  const Operation row[] = {op::clone(options), exec("/bin/true")};
  ASSERT_TRUE(ring().push_chain(row));
  ASSERT_TRUE(ring().submit());
  const auto all = take_all(ring());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].result, 0);
  EXPECT_TRUE(os::has_ended(all[0].pidfd));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(run({exec("/bin/true")}).status, 0);
  EXPECT_TRUE(os::is_childless());
}

TEST_P(Exec, ADetachedTaskThatFailsLeavesNothingEither) {
  CloneOptions options;
  options.detached = true;
  const std::string missing = at("missing");
  const Operation row[] = {op::clone(options), exec(missing)};
  ASSERT_TRUE(ring().push_chain(row));
  ASSERT_TRUE(ring().submit());
  const auto all = take_all(ring());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].result, -ENOENT);
  EXPECT_TRUE(os::has_ended(all[0].pidfd));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(run({exec("/bin/true")}).status, 0);
  EXPECT_TRUE(os::is_childless());
}

// ---- Parents and submitters that end. A chain waits in `open` until somebody opens the other end.
class Ends : public Exec {
 protected:
  void SetUp() override {
    Exec::SetUp();
    ASSERT_EQ(::mkfifo(fifo_.c_str(), 0600), 0);
    ASSERT_EQ(::mkfifo(gate_.c_str(), 0600), 0);
    arrived_.reset(::open(gate_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  }
  void TearDown() override {
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
    arrived_.reset();
    Exec::TearDown();
  }

  Operation wait_in_chain() const { return op::open(0, fifo_.c_str(), O_RDONLY); }
  // As long as this is open, no chain waits there.
  [[nodiscard]] Fd let_go() const { return Fd(::open(fifo_.c_str(), O_RDWR | O_CLOEXEC)); }
  // Tells that the chain has come as far as this: a writer comes and goes.
  Operation arrive() const { return op::open(9, gate_.c_str(), O_WRONLY | O_CLOEXEC); }
  bool has_arrived() const { return os::wait_readable(arrived_.get()); }

  // Submits by a thread which is gone, for the kernel too, when this returns.
  void submit_by_a_thread(std::span<const Operation> row) {
    ASSERT_TRUE(ring().push_chain(row));
    pid_t id = 0;
    std::thread([this, &id] {
      id = ::gettid();
      EXPECT_TRUE(ring().submit());
    }).join();
    // The end of a thread that was joined is near, and nothing tells of it.
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(os::kBoundMs);
    while (::syscall(SYS_tgkill, ::getpid(), id, 0) == 0) {
      ASSERT_LT(std::chrono::steady_clock::now(), until);
      ::sched_yield();
    }
  }
  // It doesn't come back before the exec, which waits for this thread.
  bool submitter_is_blocked() const {
    return GetParam().backend == Backend::vfork && !GetParam().own_task;
  }

 private:
  const std::string fifo_ = at("fifo");
  const std::string gate_ = at("gate");
  Fd arrived_;
};
INSTANTIATE_TEST_SUITE_P(Backends, Ends, executor_kinds(), name_of);

TEST_P(Ends, TheSubmittingThreadMayEndFirst) {
  if (submitter_is_blocked()) GTEST_SKIP() << "nothing is under way when submit returns";
  const Operation row[] = {op::clone().tag(0), wait_in_chain().tag(1), exec("/bin/true").tag(2)};
  submit_by_a_thread(row);
  const Fd open = let_go();
  const auto all = take_all(ring());
  ASSERT_EQ(all.size(), 3U);
  for (std::size_t i = 1; i < 3; ++i) EXPECT_EQ(all[i].result, 0);
  EXPECT_EQ(os::wait_for(all[0].result), 0);
}

// The parent is the thread that made the task: the ring's own, or the submitter.
TEST_P(Ends, TheDeathSignalIsOfTheThreadThatMadeTheTask) {
  if (submitter_is_blocked()) GTEST_SKIP() << "nothing is under way when submit returns";
  const Operation row[] = {op::clone(), op::death_signal(SIGKILL), wait_in_chain(),
                           exec("/bin/true")};
  submit_by_a_thread(row);
  const Fd open = GetParam().own_task ? let_go() : Fd();
  const auto all = take_all(ring());
  ASSERT_EQ(all.size(), 4U);
  const int last = GetParam().own_task ? 0 : -ECANCELED;
  EXPECT_EQ(all[2].result, last);
  EXPECT_EQ(all[3].result, last);
  EXPECT_EQ(os::wait_for(all[0].result), GetParam().own_task ? 0 : SIGKILL);
}

TEST_P(Ends, ThereIsNoDeathSignalOfAThreadThatIsGone) {
  if (submitter_is_blocked()) GTEST_SKIP() << "nothing is under way when submit returns";
  const Operation row[] = {op::clone(), wait_in_chain(), op::death_signal(SIGKILL),
                           exec("/bin/true")};
  submit_by_a_thread(row);
  const Fd open = let_go();
  const auto all = take_all(ring());
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[2].result, GetParam().own_task ? 0 : -ESRCH);
  EXPECT_EQ(all[3].result, GetParam().own_task ? 0 : -ECANCELED);
  EXPECT_EQ(os::wait_for(all[0].result), GetParam().own_task ? 0 : SIGKILL);
}

// Here a forked child submits and is killed; its children become ours.
TEST_P(Ends, AProgramDiesWithItsParent) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  os::Pipe ids = os::make_pipe();
  os::Pipe life = os::make_pipe();
  os::Child parent([&] {
    renew();
    std::string name = "cat";
    char* argv[] = {name.data(), nullptr};
    const Operation row[] = {op::clone(), op::dup(life.read.get(), 0), op::death_signal(SIGTERM),
                             op::exec("/bin/cat", argv, environ)};
    if (!ring().push_chain(row) || !ring().submit()) return 1;
    const auto all = take_all(ring());
    if (all.size() != 4 || all[3].result != 0) return 2;
    os::write_value(ids.write.get(), all[0].result);
    for (;;) ::pause();
  });
  pid_t program = 0;
  ASSERT_TRUE(os::read_value(ids.read.get(), program));
  EXPECT_FALSE(os::has_ended(os::watch(program), 0));
  parent.kill();
  EXPECT_EQ(parent.wait(), SIGKILL);
  EXPECT_EQ(os::wait_for(program), SIGTERM);
}

TEST_P(Ends, AParentThatIsGoneAlreadyIsNoticed) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  os::Pipe output = os::make_pipe();
  os::Child parent([&] {
    renew();
    std::string words[] = {"sh", "-c", "echo alive"};
    char* argv[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    const Operation row[] = {op::clone(),
                             op::dup(output.write.get(), 1),
                             arrive(),
                             op::close(9),
                             wait_in_chain(),
                             op::death_signal(SIGKILL),
                             op::exec("/bin/sh", argv, environ)};
    if (!ring().push_chain(row) || !ring().submit()) return 1;
    for (;;) ::pause();
  });
  output.write.reset();
  EXPECT_TRUE(has_arrived());
  parent.kill();
  EXPECT_EQ(parent.wait(), SIGKILL);
  const Fd open = let_go();
  EXPECT_EQ(os::read_all(output.read.get()), "");
  int status = -1;
  ASSERT_GT(::waitpid(-1, &status, 0), 0) << "the task has become ours";
  EXPECT_EQ(status, SIGKILL);
}

}  // namespace
}  // namespace prewarm::cold

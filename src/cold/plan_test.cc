// SPDX-License-Identifier: MIT
//
// Planning by itself: no process, no system call.
#include "cold/plan.h"

#include <gtest/gtest.h>
#include <linux/filter.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <vector>

namespace prewarm::cold {
namespace {

char some_name[] = "some";
char* some_strings[] = {some_name, nullptr};

Operation exec(const char* path) { return op::exec(path, some_strings, some_strings); }

// A chain in memory of exactly the size that it takes.
class Planned {
 public:
  explicit Planned(std::span<const Operation> row) {
    EXPECT_EQ(plan(row, {}, needed_), nullptr);
    memory_.resize(needed_ / sizeof(memory_[0]) + 1);
    std::size_t needed = 0;
    chain_ = plan(row, bytes(needed_), needed);
    EXPECT_EQ(needed, needed_);
  }
  Planned(std::initializer_list<Operation> row) : Planned(std::span(row.begin(), row.size())) {}

  std::span<std::byte> bytes(std::size_t size) {
    return std::as_writable_bytes(std::span(memory_)).first(size);
  }
  std::size_t needed() const { return needed_; }
  const Chain& operator*() const { return *chain_; }
  const Chain* operator->() const { return chain_; }
  const Operation& operator[](std::size_t i) const { return chain_->operations[i].what; }
  const char* text(std::size_t i) const { return static_cast<const char*>((*this)[i].data); }
  // Whether something lies in the chain's own memory.
  bool holds(const void* at) const {
    const auto* first = reinterpret_cast<const std::byte*>(memory_.data());
    const auto* byte = static_cast<const std::byte*>(at);
    return byte >= first && byte < first + needed_;
  }

 private:
  std::size_t needed_ = 0;
  std::vector<std::max_align_t> memory_;
  Chain* chain_ = nullptr;
};

TEST(ChainLength, IsUpToTheFirstThatIsntLinked) {
  const Operation end = op::setsid();
  EXPECT_EQ(chain_length({}), 0U);
  EXPECT_EQ(chain_length(std::vector{end, end}), 1U);
  EXPECT_EQ(chain_length(std::vector{end.link(), end, end}), 2U);
  EXPECT_EQ(chain_length(std::vector{end.hard_link(), end.link(), end, end.link()}), 3U);
  EXPECT_EQ(chain_length(std::vector{end.link(), end.link()}), 2U) << "it ends with the row";
}

TEST(ChainLength, AHardLinkAloneIsOneToo) {
  Operation hard = op::setsid();
  hard.hard_linked = true;
  EXPECT_EQ(chain_length(std::vector{hard, op::setsid(), op::setsid()}), 2U);
}

TEST(CheckChain, BeginsWithItsOnlyClone) {
  const Operation other = op::setsid();
  EXPECT_EQ(check_chain(std::vector{op::clone()}), 0);
  EXPECT_EQ(check_chain(std::vector{op::clone(), other}), 0);
  EXPECT_EQ(check_chain({}), -EINVAL);
  EXPECT_EQ(check_chain(std::vector{other}), -EINVAL);
  EXPECT_EQ(check_chain(std::vector{other, op::clone()}), -EINVAL);
  EXPECT_EQ(check_chain(std::vector{op::clone(), other, op::clone()}), -EINVAL);
}

TEST(Check, EachOperationAsItsFunctionMakesIt) {
  const Inherited map[] = {{0, 1}, {1, 0}};
  const gid_t groups[] = {1};
  sock_filter step{};
  const sock_fprog filter{1, &step};
  sigset_t signals;
  ::sigemptyset(&signals);
  cpu_set_t processors;
  CPU_ZERO(&processors);
  const Operation all[] = {op::clone(),
                           exec("/x"),
                           op::exec_fd(3, some_strings, some_strings),
                           op::open(0, "x", 0),
                           op::dup(0, 0),
                           op::close(0),
                           op::close_range(3, ~0U),
                           op::keep_only(map),
                           op::chdir("x"),
                           op::fchdir(0),
                           op::chroot("x"),
                           op::umask(022),
                           op::setsid(),
                           op::setpgid(0),
                           op::take_terminal(0),
                           op::drop_terminal(),
                           op::foreground(0),
                           op::signal_mask(signals),
                           op::signal_default(signals),
                           op::signal_ignore(signals),
                           op::death_signal(SIGTERM),
                           op::user(1, 2, 3),
                           op::group(1, 2, 3),
                           op::groups(groups),
                           op::reset_ids(),
                           op::ambient_capability(0),
                           op::no_new_privileges(),
                           op::id_maps(nullptr, nullptr),
                           op::limit(RLIMIT_CORE, {0, 0}),
                           op::nice(-20),
                           op::scheduler(SCHED_OTHER, 0),
                           op::affinity(processors),
                           op::oom_score(-1000),
                           op::cgroup(0),
                           op::unshare(CLONE_NEWNS),
                           op::seccomp(filter),
                           op::landlock(0),
                           op::trace_me()};
  std::set<std::string> names;
  std::size_t code = 0;
  for (const Operation& o : all) {
    const std::string name = operation_name(o.code);
    EXPECT_EQ(static_cast<std::size_t>(o.code), code++) << name;
    EXPECT_EQ(check(o), 0) << name;
    names.insert(name);
  }
  EXPECT_EQ(names.size(), std::size(all)) << "each has a name of its own";
  EXPECT_FALSE(names.contains("unknown"));
  Operation none;
  none.code = static_cast<OperationCode>(code);
  EXPECT_EQ(check(none), -EINVAL);
  EXPECT_STREQ(operation_name(none.code), "unknown");
}

TEST(Check, NullPointers) {
  EXPECT_EQ(check(exec(nullptr)), -EFAULT);
  EXPECT_EQ(check(op::exec("/x", nullptr, some_strings)), -EFAULT);
  EXPECT_EQ(check(op::exec("/x", some_strings, nullptr)), -EFAULT);
  EXPECT_EQ(check(op::exec_fd(0, nullptr, some_strings)), -EFAULT);
  EXPECT_EQ(check(op::exec_fd(0, some_strings, nullptr)), -EFAULT);
  EXPECT_EQ(check(op::open(0, nullptr, 0)), -EFAULT);
  EXPECT_EQ(check(op::chdir(nullptr)), -EFAULT);
  EXPECT_EQ(check(op::chroot(nullptr)), -EFAULT);
  sock_filter step{};
  EXPECT_EQ(check(op::seccomp(sock_fprog{1, nullptr})), -EFAULT);
  EXPECT_EQ(check(op::seccomp(sock_fprog{0, &step})), -EINVAL);
  for (const OperationCode code : {OperationCode::keep_only, OperationCode::groups,
                                   OperationCode::affinity, OperationCode::seccomp}) {
    Operation o;
    o.code = code;
    o.size = 8;
    EXPECT_EQ(check(o), -EFAULT) << operation_name(code);
  }
}

TEST(Check, DescriptorsThatCantBe) {
  const Operation bad[] = {op::exec_fd(-1, some_strings, some_strings),
                           op::open(-1, "x", 0),
                           op::dup(-1, 0),
                           op::dup(0, -1),
                           op::close(-1),
                           op::fchdir(-1),
                           op::take_terminal(-1),
                           op::foreground(-1),
                           op::cgroup(-1),
                           op::landlock(-1)};
  for (const Operation& o : bad) EXPECT_EQ(check(o), -EBADF) << operation_name(o.code);
  const Inherited source[] = {{0, 0}, {-1, 1}};
  const Inherited target[] = {{0, -1}};
  EXPECT_EQ(check(op::keep_only(source)), -EBADF);
  EXPECT_EQ(check(op::keep_only(target)), -EBADF);
}

TEST(Check, NumbersOutOfTheirBounds) {
  CloneOptions namespaces;
  namespaces.namespaces = CLONE_VM;
  CloneOptions signal;
  signal.exit_signal = 65;
  const Operation bad[] = {
      op::clone(namespaces), op::clone(signal),          op::close_range(4, 3),
      op::setpgid(-1),       op::limit(-1, {0, 0}),      op::death_signal(-1),
      op::death_signal(65),  op::ambient_capability(-1), op::ambient_capability(64),
      op::oom_score(-1001),  op::oom_score(1001),        op::unshare(CLONE_FILES)};
  for (const Operation& o : bad) EXPECT_EQ(check(o), -EINVAL) << operation_name(o.code);
}

TEST(Check, SizesOutOfTheirBounds) {
  const std::vector<gid_t> groups(65537);
  EXPECT_EQ(check(op::groups(std::span(groups).first(65536))), 0);
  EXPECT_EQ(check(op::groups(groups)), -EINVAL);
  const std::vector<Inherited> map(65537);
  EXPECT_EQ(check(op::keep_only(map)), -E2BIG);
  const std::uint64_t bits[2] = {};
  Operation affinity;
  affinity.code = OperationCode::affinity;
  affinity.data = bits;
  for (const std::size_t size : {std::size_t{0}, std::size_t{9}, std::size_t{8200}}) {
    affinity.size = size;
    EXPECT_EQ(check(affinity), -EINVAL) << size;
  }
  affinity.size = 16;
  EXPECT_EQ(check(affinity), 0);
}

TEST(Check, NoTargetTwice) {
  const Inherited twice[] = {{0, 5}, {1, 6}, {2, 5}};
  EXPECT_EQ(check(op::keep_only(twice)), -EINVAL);
  const Inherited source_twice[] = {{0, 5}, {0, 6}};
  EXPECT_EQ(check(op::keep_only(source_twice)), 0);
}

TEST(Plan, ItsTextsAreItsOwn) {
  std::string path = "/a/path";
  std::string argument = "argument";
  std::string variable = "A=1";
  char* argv[] = {argument.data(), nullptr};
  char* env[] = {variable.data(), nullptr};
  const Planned planned{op::clone(), op::chdir(path.c_str()),
                        op::exec(path.c_str(), argv, env).tag(9)};
  path[0] = argument[0] = variable[0] = '?';
  argv[0] = env[0] = nullptr;
  EXPECT_STREQ(planned.text(1), "/a/path");
  EXPECT_STREQ(planned.text(2), "/a/path");
  const auto* arguments = static_cast<char* const*>(planned[2].extra);
  const auto* environment = pointer<char* const>(planned[2].more);
  EXPECT_STREQ(arguments[0], "argument");
  EXPECT_EQ(arguments[1], nullptr);
  EXPECT_STREQ(environment[0], "A=1");
  EXPECT_EQ(environment[1], nullptr);
  for (const void* at :
       {planned[1].data, planned[2].data, static_cast<const void*>(arguments),
        static_cast<const void*>(arguments[0]), static_cast<const void*>(environment)}) {
    EXPECT_TRUE(planned.holds(at));
  }
  EXPECT_EQ(planned[2].user_data, 9U);
}

TEST(Plan, NothingHasRunYet) {
  const Planned planned{op::clone(), op::setsid().hard_link(), exec("/x")};
  EXPECT_EQ(planned->count, 3U);
  EXPECT_EQ(planned->at, 0U);
  EXPECT_EQ(planned->gate.load(), 0U);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(planned->operations[i].result, -ECANCELED);
  EXPECT_TRUE(planned[1].hard_linked);
}

TEST(Plan, ARowAlongPathSharesItsArguments) {
  const Planned one{op::clone(), exec("/a")};
  const Planned two{op::clone(), exec("/a"), exec("/b")};
  EXPECT_EQ(two[1].extra, two[2].extra);
  EXPECT_EQ(two[1].more, two[2].more);
  EXPECT_STREQ(two.text(2), "/b");
  // Others are others.
  char* none[] = {nullptr};
  const Planned different{op::clone(), exec("/a"), op::exec("/a", none, some_strings)};
  EXPECT_NE(different[1].extra, different[2].extra);
  EXPECT_EQ(*static_cast<char* const*>(different[2].extra), nullptr);
}

TEST(Plan, TooLittleMemoryIsNotTouched) {
  const Operation row[] = {op::clone(), op::chdir("/some/where"), exec("/x"), op::oom_score(-1000)};
  Planned planned(row);
  const std::span memory = planned.bytes(planned.needed());
  for (std::size_t size = 0; size < planned.needed(); ++size) {
    std::ranges::fill(memory, std::byte{0x5a});
    std::size_t needed = 0;
    EXPECT_EQ(plan(row, memory.first(size), needed), nullptr);
    EXPECT_EQ(needed, planned.needed());
    const auto rest = memory.subspan(size);
    EXPECT_TRUE(std::ranges::all_of(rest, [](std::byte b) { return b == std::byte{0x5a}; }));
  }
}

TEST(Plan, PlacementsAreSortedAndKnowWhoStandsInTheWay) {
  // 5 and 6 change places; 7 stays; 1 goes where nobody stands; 3 leads from outside.
  const Inherited map[] = {{7, 7}, {5, 6}, {1, 9}, {6, 5}, {30, 3}};
  const Planned planned{op::clone(), op::keep_only(map)};
  ASSERT_EQ(planned[1].size, 5U);
  const auto* row = static_cast<const Placement*>(planned[1].data);
  struct Expected {
    int source, target;
    bool in_the_way;
  };
  const Expected expected[] = {
      {30, 3, false}, {6, 5, true}, {5, 6, true}, {7, 7, false}, {1, 9, false}};
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(row[i].source, expected[i].source);
    EXPECT_EQ(row[i].target, expected[i].target);
    EXPECT_EQ(row[i].in_the_way, expected[i].in_the_way) << row[i].source;
  }
  const Planned nothing{op::clone(), op::keep_only({})};
  EXPECT_EQ(nothing[1].size, 0U);
}

TEST(Plan, WhatTheTaskWritesIsReadyAsBytes) {
  const Planned planned{op::clone(), op::oom_score(-1000), op::id_maps("0 1 2", nullptr),
                        op::id_maps(nullptr, "3 4 5 6")};
  EXPECT_EQ(std::string(planned.text(1), planned[1].size), "-1000");
  EXPECT_EQ(std::string(planned.text(2), planned[2].size), "0 1 2");
  EXPECT_EQ(planned[2].extra, nullptr);
  EXPECT_EQ(planned[3].data, nullptr);
  EXPECT_EQ(std::string(static_cast<const char*>(planned[3].extra), planned[3].value), "3 4 5 6");
}

TEST(Plan, GroupsProcessorsAndFiltersAreCopied) {
  std::vector<gid_t> groups = {4, 5};
  cpu_set_t processors;
  CPU_ZERO(&processors);
  CPU_SET(70, &processors);
  sock_filter steps[] = {BPF_STMT(BPF_LD, 1), BPF_STMT(BPF_RET, 2)};
  const sock_fprog filter{2, steps};
  const Planned planned{op::clone(), op::groups(groups), op::affinity(processors),
                        op::seccomp(filter)};
  groups[1] = 0;
  CPU_ZERO(&processors);
  steps[1].k = 0;
  EXPECT_EQ(static_cast<const gid_t*>(planned[1].data)[1], 5U);
  cpu_set_t copied;
  ASSERT_EQ(planned[2].size, sizeof copied);
  std::memcpy(&copied, planned[2].data, sizeof copied);
  EXPECT_TRUE(CPU_ISSET(70, &copied));
  const auto* program = static_cast<const sock_fprog*>(planned[3].data);
  ASSERT_EQ(program->len, 2U);
  EXPECT_EQ(program->filter[1].k, 2U);
  EXPECT_TRUE(planned.holds(program->filter));
}

TEST(Plan, CapabilitiesAreKeptOnlyForAnAmbientOne) {
  const auto kept = [](std::initializer_list<Operation> row) {
    return Planned(row)->keeps_capabilities;
  };
  EXPECT_TRUE(kept({op::clone(), op::user(1, 1, 1), op::ambient_capability(1)}));
  EXPECT_TRUE(kept({op::clone(), op::reset_ids(), op::ambient_capability(1)}));
  EXPECT_FALSE(kept({op::clone(), op::user(1, 1, 1)}));
  EXPECT_FALSE(kept({op::clone(), op::ambient_capability(1)}));
}

TEST(Plan, IdentityIsWhatCredentialsMakeOfIt) {
  const auto changes = [](const Operation& o) {
    return Planned { op::clone(), o } -> changes_identity;
  };
  for (const Operation& o :
       {op::user(1, 1, 1), op::group(1, 1, 1), op::reset_ids(), op::ambient_capability(1)}) {
    EXPECT_TRUE(changes(o)) << operation_name(o.code);
  }
  EXPECT_FALSE(changes(op::setsid()));
}

}  // namespace
}  // namespace prewarm::cold

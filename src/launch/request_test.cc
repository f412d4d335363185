// SPDX-License-Identifier: MIT
#include "launch/request.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "launch/testing.h"
#include "os/testing.h"

namespace prewarm::launch {
namespace {

constexpr std::size_t kLongestString = 131071;  // MAX_ARG_STRLEN without the terminator

// Writes the request and parses what was written. The view leads into `bytes`.
void write_and_parse(TestRequest& request, std::vector<char>& bytes, RequestView& view) {
  ASSERT_TRUE(write_request(request.get(), 42, bytes));
  ASSERT_TRUE(parse_request(bytes.data(), bytes.size(), view));
  EXPECT_EQ(view.header->size, bytes.size());
  EXPECT_EQ(view.header->generation, 42U);
}

void expect_strings(TestRequest& request) {
  std::vector<char> bytes;
  RequestView view{};
  ASSERT_NO_FATAL_FAILURE(write_and_parse(request, bytes, view));
  ASSERT_EQ(view.header->argc, request.argv.size());
  ASSERT_EQ(view.header->envc, request.env.size());
  EXPECT_EQ(strings_at(view.argv, view.header->argc), request.argv);
  EXPECT_EQ(strings_at(view.env, view.header->envc), request.env);
}

TestRequest plain() {
  TestRequest r({"/bin/x", "a", "b"});
  r.env = {"PATH=/bin", "HOME=/"};
  return r;
}

TEST(WriteRequestTest, KeepsArgumentsAndEnvironmentInOrder) {
  TestRequest r = plain();
  expect_strings(r);
}

TEST(WriteRequestTest, KeepsOddStrings) {
  TestRequest r({"", "", "two\nlines\n", "\xff\xfe\x80", " ", "=", "\x01"});
  r.env = {"", "NOEQUALS", "=", "A=1", "A=2", "=x=y", "\xc3=\xff", "N=a\nb"};
  expect_strings(r);
}

TEST(WriteRequestTest, KeepsNoArgumentsAndNoEnvironment) {
  TestRequest r;
  expect_strings(r);
}

// The longest string that execve takes (MAX_ARG_STRLEN, binfmts.h), and all of a megabyte.
TEST(WriteRequestTest, KeepsLongStrings) {
  TestRequest r({"x", std::string(kLongestString, 'y'), "z"});
  for (int i = 0; i < 8; ++i) r.env.push_back("BIG=" + std::string(kLongestString - 4, 'e'));
  expect_strings(r);
}

TEST(WriteRequestTest, KeepsManyStrings) {
  TestRequest r;
  for (int i = 0; i < 50000; ++i) r.argv.push_back(std::to_string(i));
  expect_strings(r);
}

TEST(WriteRequestTest, KeepsTheAttributes) {
  TestRequest r = plain();
  r.umask = 0777;
  r.signal_mask = 0x8000000000000001;
  r.signal_ignored = 0x4000000000000002;
  r.process_group = 12345;
  std::vector<char> bytes;
  RequestView view{};
  ASSERT_NO_FATAL_FAILURE(write_and_parse(r, bytes, view));
  EXPECT_EQ(view.header->umask, 0777U);
  EXPECT_EQ(view.header->signal_mask, r.signal_mask);
  EXPECT_EQ(view.header->signal_ignored, r.signal_ignored);
  EXPECT_EQ(view.header->flags, kRequestHasPgrp);
  EXPECT_EQ(view.header->pgrp, 12345);
}

// Process group 0, a group of its own, is not the same as none.
TEST(WriteRequestTest, TellsGroupZeroFromNoGroup) {
  TestRequest r = plain();
  std::vector<char> bytes;
  RequestView view{};
  ASSERT_NO_FATAL_FAILURE(write_and_parse(r, bytes, view));
  EXPECT_EQ(view.header->flags & kRequestHasPgrp, 0U);
  r.process_group = 0;
  ASSERT_NO_FATAL_FAILURE(write_and_parse(r, bytes, view));
  EXPECT_EQ(view.header->flags & kRequestHasPgrp, kRequestHasPgrp);
  EXPECT_EQ(view.header->pgrp, 0);
}

TEST(WriteRequestTest, KeepsTheMostDescriptors) {
  TestRequest r = plain();
  for (int i = 0; i < static_cast<int>(kMaxDescriptors); ++i) r.descriptors.push_back({7, i * 3});
  std::vector<char> bytes;
  RequestView view{};
  ASSERT_NO_FATAL_FAILURE(write_and_parse(r, bytes, view));
  ASSERT_EQ(view.header->fd_count, kMaxDescriptors);
  for (int i = 0; i < static_cast<int>(kMaxDescriptors); ++i) EXPECT_EQ(view.targets[i], i * 3);
}

TEST(WriteRequestTest, KeepsOperationsWithTheirTexts) {
  TestRequest r = plain();
  r.descriptors = {{3, 1}};  // an odd count: what follows is not aligned to eight bytes
  r.set_up = {set_up_open(1, "/a\nb \xff", 01101, 0640, "x: line 3: "), set_up_dup(1, 2),
              set_up_open(9, "", 0, 0, ""), set_up_close(255)};
  std::vector<char> bytes;
  RequestView view{};
  ASSERT_NO_FATAL_FAILURE(write_and_parse(r, bytes, view));
  ASSERT_EQ(view.header->op_count, 4U);
  const Operation* op = view.operations;
  EXPECT_EQ(op[0].kind, OperationKind::open);
  EXPECT_EQ(op[0].fd, 1);
  EXPECT_EQ(op[0].flags, 01101);
  EXPECT_EQ(op[0].mode, 0640U);
  EXPECT_STREQ(view.text + op[0].text, "/a\nb \xff");
  EXPECT_STREQ(view.text + op[0].error_prefix, "x: line 3: ");
  EXPECT_EQ(op[1].kind, OperationKind::dup);
  EXPECT_EQ(op[1].fd, 2);
  EXPECT_EQ(op[1].other, 1);
  EXPECT_STREQ(view.text + op[2].text, "");
  EXPECT_STREQ(view.text + op[2].error_prefix, "");
  EXPECT_EQ(op[3].kind, OperationKind::close);
  EXPECT_EQ(op[3].fd, 255);
  EXPECT_EQ(strings_at(view.argv, view.header->argc), r.argv);
}

TEST(WriteRequestTest, EmptiesTheBufferFirst) {
  TestRequest r = plain();
  std::vector<char> bytes;
  ASSERT_TRUE(write_request(r.get(), 1, bytes));
  const std::vector<char> once = bytes;
  ASSERT_TRUE(write_request(r.get(), 1, bytes));
  EXPECT_EQ(bytes, once);
}

// The bytes travel between processes: what is not set must not be what lay in memory.
TEST(WriteRequestTest, GivesTheSameBytesForTheSameRequest) {
  TestRequest r = plain();
  r.set_up = {set_up_open(1, "/a", 1), set_up_dup(1, 2), set_up_close(7)};
  std::vector<char> first(4096, '\x5a');
  std::vector<char> second(4096, '\xa5');
  ASSERT_TRUE(write_request(r.get(), 1, first));
  ASSERT_TRUE(write_request(r.get(), 1, second));
  EXPECT_EQ(first, second);
}

TEST(WriteRequestTest, RefusesTooManyDescriptors) {
  TestRequest r = plain();
  for (int i = 0; i <= static_cast<int>(kMaxDescriptors); ++i) r.descriptors.push_back({0, i});
  std::vector<char> bytes;
  EXPECT_FALSE(write_request(r.get(), 1, bytes));
}

TEST(WriteRequestTest, TakesTheMostOperationsAndRefusesMore) {
  TestRequest r = plain();
  std::vector<char> bytes;
  r.set_up.assign(kMaxOperations, set_up_dup(1, 2));
  EXPECT_TRUE(write_request(r.get(), 1, bytes));
  r.set_up.push_back(set_up_dup(1, 2));
  EXPECT_FALSE(write_request(r.get(), 1, bytes));
}

TEST(WriteRequestTest, RefusesMoreBytesThanAMessageMayHave) {
  TestRequest r = plain();
  r.set_up = {set_up_open(1, std::string(kMaxRequestBytes, 'p'), 0)};
  std::vector<char> bytes;
  EXPECT_FALSE(write_request(r.get(), 1, bytes));
}

// ---- What execve refuses must be refused -------------------------------------------------------

TEST(WriteRequestTest, RefusesAStringThatExecveRefuses) {
  std::vector<char> bytes;
  TestRequest argument({"x", std::string(kLongestString + 1, 'y')});
  EXPECT_FALSE(write_request(argument.get(), 1, bytes));
  TestRequest variable({"x"});
  variable.env = {std::string(kLongestString + 1, 'y')};
  EXPECT_FALSE(write_request(variable.get(), 1, bytes));
}

// What execve says to `request`, as an errno.
int try_execve(TestRequest& request) {
  const LaunchRequest& r = request.get();
  os::Pipe error = os::make_pipe();
  os::Child child([&] {
    ::execve(r.path, r.argv, r.env);
    os::write_value(error.write.get(), errno);
    return 1;
  });
  error.write.reset();
  int code = 0;
  os::read_value(error.read.get(), code);
  child.wait();
  return code;
}

// True if, whatever is written, execve would take it. Runs in a child with `stack` as stack limit.
bool agrees_with_execve(rlim_t stack, std::size_t string_bytes) {
  rlimit limit{};
  ::getrlimit(RLIMIT_STACK, &limit);
  limit.rlim_cur = std::min(stack, limit.rlim_max);
  ::setrlimit(RLIMIT_STACK, &limit);
  std::vector<char> bytes;
  TestRequest r({"/bin/true"});
  bool written = true;
  // In steps up to the first that is refused, which has to come.
  const std::size_t step = std::min<rlim_t>(stack / 4, 6 << 20) / 10;
  while (written && r.argv.size() * string_bytes < (8 << 20)) {
    for (std::size_t n = 0; n < step; n += string_bytes) r.argv.emplace_back(string_bytes - 1, 'x');
    written = write_request(r.get(), 1, bytes);
    if (written && try_execve(r) == E2BIG) return false;
  }
  return !written;
}

TEST(WriteRequestTest, WritesNothingThatExecveWouldRefuse) {
  constexpr rlim_t kMegabyte = 1 << 20;
  for (const rlim_t stack : {kMegabyte / 2, 8 * kMegabyte, 64 * kMegabyte, RLIM_INFINITY}) {
    for (const std::size_t string_bytes : {std::size_t{64}, std::size_t{65536}}) {
      os::Child child([&] { return agrees_with_execve(stack, string_bytes) ? 0 : 1; });
      EXPECT_EQ(child.wait(), 0) << "stack " << stack << ", strings of " << string_bytes;
    }
  }
}

}  // namespace
}  // namespace prewarm::launch

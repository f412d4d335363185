// SPDX-License-Identifier: MIT
//
// parse_request against bytes that nobody sane wrote. Every attempt has a heap block of just its
// size, so that the address sanitizer sees a byte read outside.
#include "launch/wire.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "launch/testing.h"

namespace prewarm::launch {
namespace {

// One of everything: an odd number of descriptors, each kind of operation, empty and filled
// strings.
std::vector<char> sample() {
  TestRequest r({"/bin/x", "", "y"});
  r.env = {"A=1", ""};
  r.descriptors = {{5, 0}, {6, 1}, {7, 9}};
  r.set_up = {set_up_open(1, "/tmp/out", 1, 0666, "x: "), set_up_dup(1, 2), set_up_close(9)};
  r.signal_mask = 3;
  r.process_group = 17;
  std::vector<char> bytes;
  EXPECT_TRUE(write_request(r.get(), 9, bytes));
  return bytes;
}

// What the agent relies on once a request was accepted. Reads every byte that it would read.
void expect_inside(const RequestView& view, const char* bytes, std::size_t size) {
  const RequestHeader& h = *view.header;
  const char* end = bytes + size;
  ASSERT_LE(h.fd_count, kMaxDescriptors);
  ASSERT_LE(h.op_count, kMaxOperations);
  ASSERT_LE(reinterpret_cast<const char*>(view.targets + h.fd_count), end);
  ASSERT_LE(reinterpret_cast<const char*>(view.operations + h.op_count), end);
  for (std::uint32_t i = 0; i < h.fd_count; ++i) {
    ASSERT_GE(view.targets[i], 0);
    ASSERT_TRUE(i == 0 || view.targets[i] > view.targets[i - 1]);
  }
  for (std::uint32_t i = 0; i < h.op_count; ++i) {
    const Operation& op = view.operations[i];
    ASSERT_GE(op.fd, 0);
    if (op.kind != OperationKind::open) continue;
    ASSERT_LT(view.text + op.text + std::strlen(view.text + op.text), end);
    ASSERT_LT(view.text + op.error_prefix + std::strlen(view.text + op.error_prefix), end);
  }
  std::size_t used = 0;
  for (const auto& s : strings_at(view.argv, h.argc)) used += s.size() + 1;
  ASSERT_EQ(used, h.argv_size);
  ASSERT_EQ(view.argv + used, view.env) << "the two areas are one";
  used = 0;
  for (const auto& s : strings_at(view.env, h.envc)) used += s.size() + 1;
  ASSERT_EQ(used, h.env_size);
  ASSERT_EQ(view.env + used, end);
}

bool accepts(const std::vector<char>& bytes) {
  const std::unique_ptr<char[]> exact(new char[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), exact.get());
  RequestView view{};
  if (!parse_request(exact.get(), bytes.size(), view)) return false;
  expect_inside(view, exact.get(), bytes.size());
  return true;
}

// The sample after `change`, with its header and first operation at hand.
bool accepts_changed(const std::function<void(RequestHeader&, std::int32_t*, Operation*)>& change) {
  std::vector<char> bytes = sample();
  auto* header = reinterpret_cast<RequestHeader*>(bytes.data());
  auto* targets = reinterpret_cast<std::int32_t*>(header + 1);
  change(*header, targets, reinterpret_cast<Operation*>(targets + 3));
  return accepts(bytes);
}

TEST(ParseRequestTest, AcceptsTheSample) { EXPECT_TRUE(accepts(sample())); }

TEST(ParseRequestTest, RefusesEveryTruncation) {
  const std::vector<char> whole = sample();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    std::vector<char> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(accepts(part)) << size;
    // Also if it claims to be whole.
    if (size < sizeof(RequestHeader)) continue;
    reinterpret_cast<RequestHeader*>(part.data())->size = static_cast<std::uint32_t>(size);
    EXPECT_FALSE(accepts(part)) << size;
  }
}

TEST(ParseRequestTest, RefusesWhatFollowsTheEnd) {
  std::vector<char> bytes = sample();
  bytes.push_back('\0');
  EXPECT_FALSE(accepts(bytes));
  reinterpret_cast<RequestHeader*>(bytes.data())->size += 1;
  EXPECT_FALSE(accepts(bytes));
}

// Whatever is accepted is inside (checked by accepts); most of it is not accepted at all.
TEST(ParseRequestTest, NeverLeadsOutsideWhateverByteIsChanged) {
  const std::vector<char> whole = sample();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (int change = 1; change < 256; ++change) {
      std::vector<char> bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      accepts(bytes);
      if (HasFatalFailure()) FAIL() << "byte " << at << " changed by " << change;
    }
  }
}

TEST(ParseRequestTest, NeverLeadsOutsideWhateverFieldIsExtreme) {
  const std::vector<char> whole = sample();
  for (std::size_t at = 0; at + 4 <= whole.size(); at += 4) {
    for (const std::uint32_t value : {0U, 1U, 0x7fffffffU, 0x80000000U, 0xfffffff0U, 0xffffffffU}) {
      std::vector<char> bytes = whole;
      std::memcpy(bytes.data() + at, &value, sizeof value);
      accepts(bytes);
      if (HasFatalFailure()) FAIL() << "word at " << at << " is " << value;
    }
  }
}

TEST(ParseRequestTest, RefusesAnotherMagicOrSize) {
  EXPECT_FALSE(accepts_changed([](RequestHeader& h, auto*, auto*) { h.magic ^= 1; }));
  EXPECT_FALSE(accepts_changed([](RequestHeader& h, auto*, auto*) { h.size -= 1; }));
  EXPECT_FALSE(accepts_changed([](RequestHeader& h, auto*, auto*) { h.size += 1; }));
}

TEST(ParseRequestTest, RefusesCountsThatDoNotFit) {
  using H = RequestHeader;
  EXPECT_FALSE(accepts_changed([](H& h, auto*, auto*) { h.fd_count = kMaxDescriptors + 1; }));
  EXPECT_FALSE(accepts_changed([](H& h, auto*, auto*) { h.op_count = kMaxOperations + 1; }));
  EXPECT_FALSE(accepts_changed([](H& h, auto*, auto*) { h.argc += 1; }));
  EXPECT_FALSE(accepts_changed([](H& h, auto*, auto*) { h.argc -= 1; }));
  EXPECT_FALSE(accepts_changed([](H& h, auto*, auto*) { h.envc += 1; }));
  EXPECT_FALSE(accepts_changed([](H& h, auto*, auto*) { h.envc -= 1; }));
  // Sums that are right modulo 2^32.
  EXPECT_FALSE(accepts_changed([](H& h, auto*, auto*) {
    h.argv_size += 0x80000000U;
    h.env_size += 0x80000000U;
  }));
}

// A request of these counts in which everything fits: descriptors 0, 1, …, operations that close
// descriptor 0, and empty strings.
bool accepts_counts(std::uint32_t fds, std::uint32_t ops, std::uint32_t argc, std::uint32_t envc) {
  RequestHeader header{};
  header.magic = kRequestMagic;
  header.fd_count = fds;
  header.op_count = ops;
  header.argc = header.argv_size = argc;
  header.envc = header.env_size = envc;
  std::vector<char> bytes(sizeof header + fds * 4 + ops * sizeof(Operation) + argc + envc, '\0');
  header.size = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  char* at = bytes.data() + sizeof header;
  for (std::uint32_t i = 0; i < fds; ++i, at += 4) std::memcpy(at, &i, 4);
  for (std::uint32_t i = 0; i < ops; ++i, at += sizeof(Operation)) {
    Operation op{};
    op.kind = OperationKind::close;
    std::memcpy(at, &op, sizeof op);
  }
  return accepts(bytes);
}

TEST(ParseRequestTest, AcceptsTheMostAndRefusesMore) {
  EXPECT_TRUE(accepts_counts(kMaxDescriptors, kMaxOperations, kMaxStrings, kMaxStrings));
  EXPECT_FALSE(accepts_counts(kMaxDescriptors + 1, 0, 1, 1));
  EXPECT_FALSE(accepts_counts(1, kMaxOperations + 1, 1, 1));
  EXPECT_FALSE(accepts_counts(1, 1, kMaxStrings + 1, 1));
  EXPECT_FALSE(accepts_counts(1, 1, 1, kMaxStrings + 1));
}

TEST(ParseRequestTest, RefusesStringsThatDoNotEndWhereTheyShould) {
  std::vector<char> bytes = sample();
  bytes.back() = 'x';
  EXPECT_FALSE(accepts(bytes)) << "the environment's last string goes on";
  // The last argument would go on in the environment.
  EXPECT_FALSE(accepts_changed([](RequestHeader& h, auto*, auto*) {
    h.argv_size -= 1;
    h.env_size += 1;
  }));
  EXPECT_FALSE(accepts_changed([](RequestHeader& h, auto*, auto*) {
    h.text_size -= 1;
    h.argv_size += 1;
  }));
}

TEST(ParseRequestTest, RefusesTargetsThatDoNotAscend) {
  EXPECT_FALSE(accepts_changed([](auto&, std::int32_t* t, auto*) { t[0] = -1; }));
  EXPECT_FALSE(accepts_changed([](auto&, std::int32_t* t, auto*) { t[0] = t[1]; }));
  EXPECT_FALSE(accepts_changed([](auto&, std::int32_t* t, auto*) { std::swap(t[1], t[2]); }));
}

TEST(ParseRequestTest, RefusesOperationsThatMakeNoSense) {
  using Op = Operation;
  EXPECT_FALSE(accepts_changed([](auto&, auto*, Op* o) { o[0].fd = -1; }));
  EXPECT_FALSE(accepts_changed([](auto&, auto*, Op* o) { o[1].fd = -1; }));
  EXPECT_FALSE(accepts_changed([](auto&, auto*, Op* o) { o[1].other = -1; }));
  EXPECT_FALSE(accepts_changed([](auto&, auto*, Op* o) { o[2].fd = -1; }));
  EXPECT_FALSE(accepts_changed([](auto&, auto*, Op* o) { o[2].kind = OperationKind{3}; }));
  EXPECT_FALSE(accepts_changed([](auto& h, auto*, Op* o) { o[0].text = h.text_size; }));
  EXPECT_FALSE(accepts_changed([](auto& h, auto*, Op* o) { o[0].error_prefix = h.text_size; }));
  // But a text may start anywhere in the area, also inside another.
  EXPECT_TRUE(accepts_changed([](auto& h, auto*, Op* o) { o[0].text = h.text_size - 1; }));
}

}  // namespace
}  // namespace prewarm::launch

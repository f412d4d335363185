// SPDX-License-Identifier: MIT
#include "image/memfd.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace prewarm::image {
namespace {

constexpr std::uint64_t kBytes = 4096;

TEST(Memfd, IsSealedOnceNobodyCanWriteToItAnyMore) {
  const auto memfd = make_memfd("test", kBytes);
  ASSERT_TRUE(memfd.has_value());
  auto mapping = Mapping::writable_of(*memfd);
  ASSERT_TRUE(mapping.has_value());
  // As when the memory of a process that has ended goes late.
  std::thread late([&mapping] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    *mapping = Mapping();
  });
  const auto sealed = seal(*memfd);
  late.join();
  EXPECT_TRUE(sealed.has_value());
  EXPECT_TRUE(is_sealed(*memfd));
}

TEST(Memfd, IsNotSealedWhileSomebodyCanWriteToIt) {
  const auto memfd = make_memfd("test", kBytes);
  ASSERT_TRUE(memfd.has_value());
  const auto mapping = Mapping::writable_of(*memfd);
  const auto sealed = seal(*memfd);
  ASSERT_FALSE(sealed.has_value());
  EXPECT_EQ(sealed.error().code, EBUSY);
  EXPECT_FALSE(is_sealed(*memfd));
}

}  // namespace
}  // namespace prewarm::image

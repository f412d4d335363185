// SPDX-License-Identifier: MIT
#include "os/unix_address.h"

#include <gtest/gtest.h>

#include "os/testing.h"

namespace prewarm::os {
namespace {

TEST(UnixAddressTest, WhatListensThereCanBeReached) {
  const TempDirectory directory;
  const auto address = UnixAddress::of(directory / "socket");
  ASSERT_TRUE(address.has_value());
  const Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), address->get(), address->size()), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_TRUE(std::filesystem::is_socket(directory / "socket"));
  const Fd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(client.get(), address->get(), address->size()), 0);
}

TEST(UnixAddressTest, APathHasALimit) {
  const std::size_t room = sizeof sockaddr_un{}.sun_path;
  EXPECT_TRUE(UnixAddress::of(std::string(room - 1, 'a')).has_value());
  EXPECT_FALSE(UnixAddress::of(std::string(room, 'a')).has_value());
}

}  // namespace
}  // namespace prewarm::os

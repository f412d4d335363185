// SPDX-License-Identifier: MIT
#include "coproc/owner_socket.h"

#include <gtest/gtest.h>

#include "coproc/client.h"
#include "os/testing.h"

namespace prewarm::coproc {
namespace {

class OwnerSocketTest : public os::LeavesNothing {
 protected:
  std::optional<OwnerSocket> listen() const {
    auto made = OwnerSocket::listen(directory_.path());
    if (!made) ADD_FAILURE() << made.error().message();
    return made ? std::move(*made) : std::nullopt;
  }
  bool exists() const {
    struct stat s;
    return ::lstat(path_.c_str(), &s) == 0;
  }

  const os::TempDirectory directory_;
  const std::string path_ = pool_socket_path(directory_.path());
};

TEST_F(OwnerSocketTest, ThereIsOneAtATime) {
  auto first = listen();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->path(), path_);
  EXPECT_FALSE(listen());
  EXPECT_TRUE(exists());
  first.reset();
  EXPECT_FALSE(exists());
  EXPECT_TRUE(listen());
}

TEST_F(OwnerSocketTest, IsForItsUserOnly) {
  const auto socket = listen();
  struct stat s;
  ASSERT_EQ(::lstat(path_.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0600U);
}

TEST_F(OwnerSocketTest, AcceptsWhoeverComes) {
  auto socket = listen();
  ASSERT_TRUE(socket);
  EXPECT_FALSE(socket->accept());
  const auto client = Client::connect(path_);
  ASSERT_TRUE(client);
  EXPECT_TRUE(socket->accept());
  EXPECT_FALSE(socket->accept());
}

TEST_F(OwnerSocketTest, OfOneThatWasKilledIsReplaced) {
  os::Child owner([this]() -> int {
    const auto left = listen();
    ::_exit(left ? 0 : 1);
  });
  ASSERT_EQ(owner.wait(), 0);
  EXPECT_TRUE(exists());
  EXPECT_FALSE(Client::connect(path_));
  EXPECT_TRUE(listen());
}

TEST_F(OwnerSocketTest, AfterAWithdrawalAnotherCanListen) {
  auto first = listen();
  ASSERT_TRUE(first);
  const auto early = Client::connect(path_);
  ASSERT_TRUE(early);
  first->withdraw();
  EXPECT_FALSE(exists());
  const auto second = listen();
  ASSERT_TRUE(second);
  EXPECT_TRUE(first->accept());
  first.reset();
  EXPECT_TRUE(exists());
}

TEST_F(OwnerSocketTest, AnothersSocketIsNotRemoved) {
  auto first = listen();
  ::unlink(path_.c_str());
  const auto second = listen();
  ASSERT_TRUE(second);
  first.reset();
  EXPECT_TRUE(exists());
}

TEST_F(OwnerSocketTest, APathThatIsTooLongIsAnError) {
  const std::string deep = directory_ / std::string(150, 'x');
  ASSERT_EQ(::mkdir(deep.c_str(), 0700), 0);
  const auto made = OwnerSocket::listen(deep);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ENAMETOOLONG);
}

}  // namespace
}  // namespace prewarm::coproc

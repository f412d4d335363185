// SPDX-License-Identifier: MIT
#include "image/map_client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <functional>
#include <thread>

#include "image/packet.h"
#include "os/process.h"
#include "os/runtime_directory.h"
#include "os/testing.h"

namespace prewarm::image {
namespace {

class MapClient : public os::LeavesNothing {
 protected:
  MapClient() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path_.c_str());
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
  }

  // What comes of a service that answers so. `serve` gets the connection and the request.
  Refusal ask(const std::function<void(int, const Packet&)>& serve, MappedImage& image) {
    std::thread service([&] {
      const os::Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      Packet request;
      EXPECT_EQ(receive_packet(socket.get(), 10'000, 0, request), Arrival::packet);
      serve(socket.get(), request);
    });
    const Refusal refusal = call(image, os::kBoundMs);
    service.join();
    return refusal;
  }
  Refusal ask_and_get(const MapAnswer& answer, std::size_t bytes, std::size_t descriptors) {
    MappedImage image;
    const std::vector<int> fds(descriptors, listener_.get());
    const Refusal refusal = ask(
        [&](int socket, const Packet&) {
          EXPECT_EQ(send_packet(socket, as_bytes(answer).substr(0, bytes), fds, 0), 0);
        },
        image);
    files_ = image.file_count;
    close_mapped(image);
    return refusal;
  }

  Refusal call(MappedImage& image, unsigned timeout_ms) {
    const os::Fd program(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
    const os::Fd process = os::watch(::getpid());
    return request_map({.socket_path = path_.c_str(),
                        .exec_fd = program.get(),
                        .pidfd = process.get(),
                        .stack_limit = 77,
                        .flags = kMapWait,
                        .path = "/a/program",
                        .timeout_ms = timeout_ms},
                       image);
  }

  const os::TempDirectory directory_;
  const std::string path_ = directory_ / "image.sock";
  os::Fd listener_{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
  unsigned files_ = 0;
};

TEST_F(MapClient, SaysWhatIsWanted) {
  MappedImage image;
  ask(
      [](int, const Packet& packet) {
        MapRequest request;
        std::string_view bytes = packet.bytes;
        ASSERT_TRUE(take_head(bytes, request));
        EXPECT_EQ(request.magic, kMapMagic);
        EXPECT_EQ(request.version, kMapVersion);
        EXPECT_EQ(request.stack_limit, 77U);
        EXPECT_EQ(request.flags, kMapWait);
        EXPECT_EQ(bytes, "/a/program");
        struct stat root{}, program{}, sent{};
        ASSERT_EQ(::stat("/", &root), 0);
        EXPECT_EQ(request.root_inode, root.st_ino);
        ASSERT_EQ(packet.descriptors.size(), 2U);
        ASSERT_EQ(::stat("/proc/self/exe", &program), 0);
        ASSERT_EQ(::fstat(packet.descriptors[0].get(), &sent), 0);
        EXPECT_EQ(sent.st_ino, program.st_ino);
        EXPECT_FALSE(os::ended(packet.descriptors[1]));
      },
      image);
}

TEST_F(MapClient, TakesAnImageAndItsFiles) {
  MapAnswer answer;
  for (const std::size_t files : {0U, 1U, kMaxMappedFiles}) {
    answer.descriptors = static_cast<std::uint32_t>(files + 1);
    EXPECT_EQ(ask_and_get(answer, sizeof answer, files + 1), Refusal::none);
    EXPECT_EQ(files_, files);
  }
}

TEST_F(MapClient, RefusalsAreTold) {
  MapAnswer answer;
  answer.refusal = static_cast<std::uint32_t>(Refusal::stale);
  EXPECT_EQ(ask_and_get(answer, sizeof answer, 0), Refusal::stale);
  answer.version = kMapVersion + 1;
  EXPECT_EQ(ask_and_get(answer, sizeof answer, 0), Refusal::other_version);
}

TEST_F(MapClient, WhatIsNoAnswerIsNoService) {
  MapAnswer answer;
  EXPECT_EQ(ask_and_get(answer, sizeof answer, 0), Refusal::no_service);
  EXPECT_EQ(ask_and_get(answer, sizeof answer, 1), Refusal::no_service);  // says that none come
  answer.descriptors = 2;
  EXPECT_EQ(ask_and_get(answer, sizeof answer, 1), Refusal::no_service);
  answer.descriptors = 1;
  EXPECT_EQ(ask_and_get(answer, sizeof answer - 1, 1), Refusal::no_service);
  answer.refusal = static_cast<std::uint32_t>(Refusal::count);
  EXPECT_EQ(ask_and_get(answer, sizeof answer, 1), Refusal::no_service);
  answer.refusal = 0;
  answer.magic = 1;
  EXPECT_EQ(ask_and_get(answer, sizeof answer, 1), Refusal::no_service);
  MappedImage image;
  EXPECT_EQ(ask([](int, const Packet&) {}, image), Refusal::no_service);
}

TEST_F(MapClient, OneThatHangsIsNotWaitedFor) {
  MappedImage image;
  EXPECT_EQ(call(image, 20), Refusal::no_service);
  // Nor one that doesn't take connections: the queue is full now.
  EXPECT_EQ(call(image, 20), Refusal::no_service);
  EXPECT_EQ(call(image, 20), Refusal::no_service);
  listener_.reset();
  EXPECT_EQ(call(image, 20), Refusal::no_service);
  ::unlink(path_.c_str());
  EXPECT_EQ(call(image, 20), Refusal::no_service);
}

TEST_F(MapClient, AnotherUsersIsNotUsed) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be others";
  ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  os::Child other([this] {
    if (::setresuid(61234, 61234, 61234) != 0) return 1;
    MappedImage image;
    return call(image, os::kBoundMs) == Refusal::no_service ? 0 : 2;
  });
  EXPECT_EQ(other.wait(), 0);
}

class SocketPath : public ::testing::Test {
 protected:
  static std::string found(const std::vector<const char*>& environment) {
    char path[108];
    std::vector<const char*> ended = environment;
    ended.push_back(nullptr);
    return service_socket_path(ended.data(), path, sizeof path) ? path : "";
  }
};

TEST_F(SocketPath, IsInTheRuntimeDirectory) {
  EXPECT_EQ(found({"A=b", "PREWARM_RUNTIME_DIR=/a", "XDG_RUNTIME_DIR=/b"}), "/a/image.sock");
  EXPECT_EQ(found({"XDG_RUNTIME_DIR=/b", "PREWARM_RUNTIME_DIR=a"}), "/b/prewarm/image.sock");
  EXPECT_EQ(found({"PREWARM_RUNTIME_DIRX=/a", "PREWARM_RUNTIME=/a", "XDG_RUNTIME_DIR=/b"}),
            "/b/prewarm/image.sock");
  const std::string long_one = "PREWARM_RUNTIME_DIR=/" + std::string(100, 'x');
  EXPECT_EQ(found({long_one.c_str()}), "");
}

TEST_F(SocketPath, IsTheSameWithoutVariables) {
  ::unsetenv("PREWARM_RUNTIME_DIR");
  ::unsetenv("XDG_RUNTIME_DIR");
  const auto directory = os::runtime_directory();
  ASSERT_TRUE(directory) << directory.error().message();
  EXPECT_EQ(found({}), *directory + kServiceSocketName);
}

}  // namespace
}  // namespace prewarm::image

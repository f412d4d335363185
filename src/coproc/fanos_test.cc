// SPDX-License-Identifier: MIT
#include "coproc/fanos.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <array>

#include "coproc/message.h"
#include "os/testing.h"

namespace prewarm::coproc {
namespace {

struct Sockets {
  Sockets() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  os::Fd ours;
  os::Fd theirs;
};

// One sendmsg, with whatever descriptors.
void send_raw(int socket, std::string_view bytes, std::span<const int> descriptors = {}) {
  std::vector<char> control(CMSG_SPACE(descriptors.size_bytes()));
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(c), descriptors.data(), descriptors.size_bytes());
  }
  ASSERT_EQ(::sendmsg(socket, &header, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

// All packets that are there, and the error after them.
struct Taken {
  std::vector<Packet> packets;
  std::string error;
};

Taken take_all(PacketReader& reader) {
  Taken taken;
  for (;;) {
    auto packet = reader.next();
    if (!packet) {
      taken.error = packet.error();
      return taken;
    }
    if (!*packet) return taken;
    taken.packets.push_back(std::move(**packet));
  }
}

bool same_file(int a, int b) {
  struct stat x, y;
  return ::fstat(a, &x) == 0 && ::fstat(b, &y) == 0 && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

class Fanos : public os::LeavesNothing {
 protected:
  std::string error_of(std::string_view bytes) {
    Sockets sockets;
    PacketReader reader;
    send_raw(sockets.ours.get(), bytes);
    EXPECT_EQ(reader.receive(sockets.theirs.get()), Received::some);
    return take_all(reader).error;
  }
};

TEST_F(Fanos, PacketsAreNetstrings) {
  Sockets sockets;
  ASSERT_TRUE(send_packet(sockets.ours.get(), "hello"));
  ASSERT_TRUE(send_packet(sockets.ours.get(), ""));
  char bytes[64];
  EXPECT_EQ(::recv(sockets.theirs.get(), bytes, sizeof bytes, 0), 11);
  EXPECT_EQ(std::string_view(bytes, 11), "5:hello,0:,");
}

TEST_F(Fanos, ArrivesInPieces) {
  const std::string bytes = "5:hello,0:,12:hello, world,";
  for (std::size_t size = 1; size <= bytes.size(); ++size) {
    Sockets sockets;
    PacketReader reader;
    std::vector<std::string> payloads;
    for (std::size_t at = 0; at < bytes.size(); at += size) {
      send_raw(sockets.ours.get(), std::string_view(bytes).substr(at, size));
      ASSERT_EQ(reader.receive(sockets.theirs.get()), Received::some);
      for (auto& packet : take_all(reader).packets) payloads.push_back(packet.payload);
    }
    EXPECT_EQ(payloads, (std::vector<std::string>{"hello", "", "hello, world"})) << size;
    EXPECT_FALSE(reader.inside_packet());
  }
}

TEST_F(Fanos, DescriptorsComeWithAnyByteOfTheirPacket) {
  const auto pipe = os::make_pipe();
  const int three[] = {pipe.read.get(), pipe.write.get(), pipe.write.get()};
  const std::string packet = "5:hello,";
  for (std::size_t at = 0; at < packet.size(); ++at) {
    Sockets sockets;
    PacketReader reader;
    // What was before is joined with it, what comes after is not.
    send_raw(sockets.ours.get(), "2:be,");
    if (at > 0) send_raw(sockets.ours.get(), std::string_view(packet).substr(0, at));
    send_raw(sockets.ours.get(), std::string_view(packet).substr(at, 1), three);
    const std::string after = packet.substr(at + 1) + "2:af,";
    send_raw(sockets.ours.get(), after);
    Taken taken;
    while (taken.packets.size() < 3) {
      ASSERT_EQ(reader.receive(sockets.theirs.get(), MSG_DONTWAIT), Received::some) << at;
      for (auto& p : take_all(reader).packets) taken.packets.push_back(std::move(p));
    }
    EXPECT_TRUE(taken.packets[0].descriptors.empty()) << at;
    EXPECT_TRUE(taken.packets[2].descriptors.empty()) << at;
    auto& fds = taken.packets[1].descriptors;
    ASSERT_EQ(fds.size(), 3U) << at;
    EXPECT_TRUE(same_file(fds[0].get(), pipe.read.get()));
    EXPECT_TRUE(same_file(fds[2].get(), pipe.write.get()));
    for (const auto& fd : fds) EXPECT_EQ(::fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
    EXPECT_FALSE(taken.packets[1].descriptors_lost);
  }
}

TEST_F(Fanos, EachPacketHasItsOwnDescriptors) {
  Sockets sockets;
  const auto a = os::make_pipe();
  const auto b = os::make_pipe();
  const int first[] = {a.read.get(), a.read.get(), a.read.get()};
  const int second[] = {b.read.get(), b.read.get(), b.read.get()};
  ASSERT_TRUE(send_packet(sockets.ours.get(), "a", first));
  ASSERT_TRUE(send_packet(sockets.ours.get(), "none"));
  ASSERT_TRUE(send_packet(sockets.ours.get(), "b", second));
  PacketReader reader;
  std::vector<Packet> packets;
  while (packets.size() < 3) {
    auto packet = receive_packet(sockets.theirs.get(), reader);
    ASSERT_TRUE(packet && *packet);
    packets.push_back(std::move(**packet));
  }
  ASSERT_EQ(packets[0].descriptors.size(), 3U);
  EXPECT_TRUE(same_file(packets[0].descriptors[0].get(), a.read.get()));
  EXPECT_TRUE(packets[1].descriptors.empty());
  ASSERT_EQ(packets[2].descriptors.size(), 3U);
  EXPECT_TRUE(same_file(packets[2].descriptors[0].get(), b.read.get()));
}

TEST_F(Fanos, AsManyAsTheKernelSendsArrive) {
  Sockets sockets;
  const std::vector<int> many(253, sockets.ours.get());
  send_raw(sockets.ours.get(), "1:x,", many);
  PacketReader reader;
  const auto packet = receive_packet(sockets.theirs.get(), reader);
  ASSERT_TRUE(packet && *packet);
  EXPECT_EQ((*packet)->descriptors.size(), 253U);
  EXPECT_FALSE((*packet)->descriptors_lost);
}

TEST_F(Fanos, LostDescriptorsAreTold) {
  Sockets sockets;
  const int three[] = {sockets.ours.get(), sockets.ours.get(), sockets.ours.get()};
  ASSERT_TRUE(send_packet(sockets.ours.get(), "x", three));
  rlimit before;
  ::getrlimit(RLIMIT_NOFILE, &before);
  // Room for one more.
  const os::Fd next(::dup(0));
  rlimit few{static_cast<rlim_t>(next.get()) + 2, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  PacketReader reader;
  auto packet = receive_packet(sockets.theirs.get(), reader);
  ::setrlimit(RLIMIT_NOFILE, &before);
  ASSERT_TRUE(packet && *packet);
  EXPECT_LT((*packet)->descriptors.size(), 3U);
  EXPECT_TRUE((*packet)->descriptors_lost);
}

TEST_F(Fanos, RefusesWhatIsNoLength) {
  for (const char* bytes : {":", "x", "a:", "01:x,", "-1:x,", "+1:x,", " 1:x,", "1 :x,",
                            "1234567890", "1234567890:", "8388609:", "999999999:", "12x"}) {
    EXPECT_NE(error_of(bytes), "") << bytes;
  }
  for (const char* bytes : {"1", "123456789", "8388608:", "1:x", "0:"}) {
    EXPECT_EQ(error_of(bytes), "") << bytes;
  }
}

TEST_F(Fanos, RefusesAnotherEndThanAComma) {
  EXPECT_EQ(error_of("1:x;"), "no comma follows it");
  EXPECT_EQ(error_of("1:xy,"), "no comma follows it");
}

TEST_F(Fanos, TheEndIsOneBetweenPacketsOnly) {
  for (const char* bytes : {"1:x,", "1:x,1", "1:x,1:", "1:x,1:y"}) {
    Sockets sockets;
    PacketReader reader;
    send_raw(sockets.ours.get(), bytes);
    sockets.ours.reset();
    ASSERT_TRUE(receive_packet(sockets.theirs.get(), reader));
    const auto end = receive_packet(sockets.theirs.get(), reader);
    if (std::strlen(bytes) == 4) {
      ASSERT_TRUE(end);
      EXPECT_FALSE(*end);
    } else {
      ASSERT_FALSE(end) << bytes;
      EXPECT_EQ(end.error().code, EPROTO);
    }
  }
}

TEST_F(Fanos, AnEndWithUnreadRequestsIsTold) {
  Sockets sockets;
  ASSERT_TRUE(send_packet(sockets.ours.get(), "never read"));
  sockets.theirs.reset();
  PacketReader reader;
  const auto end = receive_packet(sockets.ours.get(), reader);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, ECONNRESET);
}

TEST_F(Fanos, NothingThereIsNoEnd) {
  Sockets sockets;
  PacketReader reader;
  EXPECT_EQ(reader.receive(sockets.theirs.get(), MSG_DONTWAIT), Received::nothing);
  EXPECT_EQ(reader.receive(-1), Received::failed);
}

TEST_F(Fanos, ASocketThatIsFullTakesTheRestLater) {
  Sockets sockets;
  const std::string payload(3'000'000, 'p');
  const auto pipe = os::make_pipe();
  const int three[] = {pipe.read.get(), pipe.read.get(), pipe.read.get()};
  PacketWriter writer(payload, three);
  EXPECT_FALSE(writer.has_begun());
  PacketReader reader;
  std::optional<Packet> packet;
  while (!packet) {
    const auto sent = writer.send(sockets.ours.get(), MSG_DONTWAIT);
    ASSERT_TRUE(sent);
    EXPECT_TRUE(writer.has_begun());
    ASSERT_EQ(reader.receive(sockets.theirs.get()), Received::some);
    auto next = reader.next();
    ASSERT_TRUE(next);
    packet = std::move(*next);
  }
  EXPECT_EQ(packet->payload, payload);
  EXPECT_EQ(packet->descriptors.size(), 3U);
}

TEST_F(Fanos, SendingToNobodyIsAnErrorAndNoSignal) {
  Sockets sockets;
  sockets.theirs.reset();
  const auto sent = send_packet(sockets.ours.get(), "x");
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, EPIPE);
}

}  // namespace
}  // namespace prewarm::coproc

// SPDX-License-Identifier: MIT
#include "coproc/stream_relay.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "coproc/fcli_streams.h"
#include "os/testing.h"

namespace prewarm::coproc {
namespace {

// The threads of this process must not take what is meant for a test.
class RelayTest : public os::LeavesNothing {
 protected:
  RelayTest() : done_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), path_(directory_ / "fifo") {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    if (::mkfifo(path_.c_str(), 0600) != 0) std::abort();
  }
  ~RelayTest() override { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  os::Fd open_fifo(int flags) { return os::Fd(::open(path_.c_str(), flags | O_CLOEXEC)); }
  // Nudges it as its owner does, until it has finished.
  bool finishes(Relay& relay) {
    for (int i = 0; i < os::kBoundMs / 10 && !relay.finished(); ++i) {
      pollfd p{done_.get(), POLLIN, 0};
      std::uint64_t count;
      if (::poll(&p, 1, 10) == 1) os::read_value(done_.get(), count);
      relay.nudge();
    }
    return relay.finished();
  }
  os::Fd file(const std::string& content) {
    os::write_file(directory_ / "file", content);
    return os::Fd(::open((directory_ / "file").c_str(), O_RDWR | O_CLOEXEC));
  }
  static os::Fd copy(const os::Fd& fd) { return os::Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3)); }

  os::TempDirectory directory_;
  os::Fd done_;
  std::string path_;
  sigset_t before_{};
};

TEST_F(RelayTest, OutputIsPassedOnUntilTheLastWriterCloses) {
  auto pipe = os::make_pipe();
  OutputRelay relay(open_fifo(O_RDONLY | O_NONBLOCK), std::move(pipe.write));
  ASSERT_TRUE(relay.start(done_.get()));
  auto writer = open_fifo(O_WRONLY);
  auto second = copy(writer);
  ASSERT_EQ(::write(writer.get(), "one", 3), 3);
  writer.reset();
  ASSERT_EQ(::write(second.get(), "two", 3), 3);
  second.reset();
  EXPECT_EQ(os::read_all(pipe.read.get()), "onetwo");
  EXPECT_TRUE(finishes(relay));
  EXPECT_EQ(relay.error(), 0);
}

TEST_F(RelayTest, OutputThatIsHeldOpenEndsWhenItIsToFinish) {
  auto pipe = os::make_pipe();
  OutputRelay relay(open_fifo(O_RDONLY | O_NONBLOCK), std::move(pipe.write));
  const auto holder = open_fifo(O_WRONLY);
  const std::string text(50'000, 'x');
  ASSERT_EQ(::write(holder.get(), text.data(), text.size()), 50'000);
  ASSERT_TRUE(relay.start(done_.get()));
  relay.finish();
  EXPECT_EQ(os::read_all(pipe.read.get()), text);
  EXPECT_TRUE(finishes(relay));
}

TEST_F(RelayTest, OutputThatNobodyOpenedFinishes) {
  auto pipe = os::make_pipe();
  OutputRelay relay(open_fifo(O_RDONLY | O_NONBLOCK), std::move(pipe.write));
  ASSERT_TRUE(relay.start(done_.get()));
  relay.finish();
  EXPECT_TRUE(finishes(relay));
  EXPECT_EQ(os::read_all(pipe.read.get()), "");
}

TEST_F(RelayTest, WritersHearThatTheReaderHasGone) {
  auto pipe = os::make_pipe();
  pipe.read.reset();
  OutputRelay relay(open_fifo(O_RDONLY | O_NONBLOCK), std::move(pipe.write));
  // The relay's own write must not end this process; an adapter ignores the signal.
  ASSERT_TRUE(relay.start(done_.get()));
  const auto writer = open_fifo(O_WRONLY);
  ASSERT_EQ(::write(writer.get(), "x", 1), 1);
  ASSERT_TRUE(finishes(relay));
  EXPECT_EQ(relay.error(), EPIPE);
  pollfd p{writer.get(), POLLOUT, 0};
  ASSERT_EQ(::poll(&p, 1, 0), 1);
  EXPECT_TRUE(p.revents & POLLERR);
}

TEST_F(RelayTest, AReaderThatDoesNotReadCanBeAbandoned) {
  auto pipe = os::make_pipe();
  OutputRelay relay(os::Fd(), copy(pipe.write), std::string(1'000'000, 'x'));
  ASSERT_TRUE(relay.start(done_.get()));
  ASSERT_TRUE(os::wait_readable(pipe.read.get()));
  relay.finish();
  EXPECT_FALSE(relay.finished());
  relay.abandon();
  EXPECT_TRUE(finishes(relay));
}

TEST_F(RelayTest, TextIsWrittenWhateverIsWished) {
  auto pipe = os::make_pipe();
  const std::string text(300'000, 'x');
  OutputRelay relay(os::Fd(), std::move(pipe.write), text);
  ASSERT_TRUE(relay.start(done_.get()));
  relay.finish();
  EXPECT_EQ(os::read_all(pipe.read.get()), text);
  EXPECT_TRUE(finishes(relay));
}

TEST_F(RelayTest, InputIsPassedOnToItsEnd) {
  const std::string text(300'000, 'x');
  InputRelay relay(open_fifo(O_PATH), file(text));
  ASSERT_TRUE(relay.start(done_.get()));
  const auto reader = open_fifo(O_RDONLY);
  EXPECT_EQ(os::read_all(reader.get()), text);
  EXPECT_FALSE(relay.finished());  // who has read all may still go back on it
  relay.finish();
  EXPECT_TRUE(finishes(relay));
}

TEST_F(RelayTest, UnreadInputIsPutBack) {
  for (const std::size_t size : {std::size_t{10}, std::size_t{200'000}}) {
    const auto source = file(std::string(size, 'x'));
    InputRelay relay(open_fifo(O_PATH), copy(source));
    ASSERT_TRUE(relay.start(done_.get()));
    auto reader = open_fifo(O_RDONLY);
    ASSERT_TRUE(os::wait_readable(reader.get()));
    char bytes[4];
    ASSERT_EQ(::read(reader.get(), bytes, 4), 4);
    if (size == 10) reader.reset();  // whether it has closed it makes no difference
    relay.finish();
    ASSERT_TRUE(finishes(relay));
    EXPECT_EQ(::lseek(source.get(), 0, SEEK_CUR), 4) << size;
  }
}

TEST_F(RelayTest, InputThatNobodyOpenedIsNotTouched) {
  const auto source = file("text");
  InputRelay relay(open_fifo(O_PATH), copy(source));
  ASSERT_TRUE(relay.start(done_.get()));
  relay.finish();
  ASSERT_TRUE(finishes(relay));
  EXPECT_EQ(::lseek(source.get(), 0, SEEK_CUR), 0);
}

TEST_F(RelayTest, InputThatDoesNotComeHoldsUpNothing) {
  const auto pipe = os::make_pipe();
  InputRelay relay(open_fifo(O_PATH), copy(pipe.read));
  ASSERT_TRUE(relay.start(done_.get()));
  const auto reader = open_fifo(O_RDONLY);
  relay.finish();
  EXPECT_TRUE(finishes(relay));
}

TEST_F(RelayTest, InputFollowsItsFifoAndNotTheName) {
  InputRelay relay(open_fifo(O_PATH), file("text"));
  const os::Fd reader(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ::unlink(path_.c_str());
  os::write_file(path_, "");
  ASSERT_TRUE(relay.start(done_.get()));
  EXPECT_EQ(os::read_all(reader.get()), "text");
  relay.finish();
  EXPECT_TRUE(finishes(relay));
  EXPECT_EQ(os::read_file(path_), "");
}

// ---- FIFOs
// ---------------------------------------------------------------------------------------

using FcliStreamsTest = RelayTest;

TEST_F(FcliStreamsTest, OneOpenFileIsOne) {
  const auto pipe = os::make_pipe();
  const auto same = copy(pipe.write);
  const os::Fd again(
      ::open(("/proc/self/fd/" + std::to_string(pipe.write.get())).c_str(), O_WRONLY | O_CLOEXEC));
  EXPECT_TRUE(are_same_open_file(pipe.write.get(), same.get()));
  EXPECT_FALSE(are_same_open_file(pipe.write.get(), again.get()));
  EXPECT_FALSE(are_same_open_file(pipe.write.get(), pipe.read.get()));
}

TEST_F(FcliStreamsTest, NamesAndRemovesItsFifos) {
  const auto pipe = os::make_pipe();
  Invocation invocation;
  {
    FcliStreams streams;
    Streams fds{copy(pipe.read), copy(pipe.write), copy(done_)};
    const auto relays = streams.open(directory_ / "1", true, fds, invocation);
    ASSERT_TRUE(relays) << relays.error().message();
    EXPECT_EQ(relays->size(), 3U);
    EXPECT_EQ(invocation.in, directory_ / "1-in");
    EXPECT_NE(invocation.out, invocation.err);
    EXPECT_TRUE(streams.are_in_place());
    ::unlink(invocation.err.c_str());
    EXPECT_FALSE(streams.are_in_place());
    ASSERT_EQ(::mkfifo(invocation.err.c_str(), 0600), 0);
    EXPECT_FALSE(streams.are_in_place());
  }
  EXPECT_FALSE(std::filesystem::exists(invocation.in));
  EXPECT_FALSE(std::filesystem::exists(invocation.err));
}

TEST_F(FcliStreamsTest, NullDevicesAndEmptyInputNeedNone) {
  const auto pipe = os::make_pipe();
  FcliStreams streams;
  Invocation invocation;
  const os::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Streams fds{copy(pipe.read), copy(null), copy(null)};
  const auto relays = streams.open(directory_ / "1", false, fds, invocation);
  ASSERT_TRUE(relays);
  EXPECT_TRUE(relays->empty());
  EXPECT_EQ(invocation.in + invocation.out + invocation.err, "/dev/null/dev/null/dev/null");
}

TEST_F(FcliStreamsTest, AFailureLeavesNothing) {
  const auto pipe = os::make_pipe();
  const std::string taken = directory_ / "1-err";
  ASSERT_EQ(::mkfifo(taken.c_str(), 0600), 0);
  {
    FcliStreams streams;
    Invocation invocation;
    Streams fds{copy(pipe.read), copy(pipe.write), copy(pipe.read)};
    const auto relays = streams.open(directory_ / "1", true, fds, invocation);
    ASSERT_FALSE(relays);
    EXPECT_EQ(relays.error().code, EEXIST);
  }
  EXPECT_FALSE(std::filesystem::exists(directory_ / "1-in"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "1-out"));
  EXPECT_TRUE(std::filesystem::exists(taken));
}

TEST_F(FcliStreamsTest, DirectoriesGoAndTakeOnlyAbandonedOnesAlong) {
  std::string path;
  {
    auto first = FifoDirectory::make(directory_.path());
    ASSERT_TRUE(first) << first.error().message();
    path = first->path();
    ASSERT_EQ(::mkfifo((path + "/x").c_str(), 0600), 0);
    struct stat s;
    ASSERT_EQ(::stat(path.c_str(), &s), 0);
    EXPECT_EQ(s.st_mode & 0777, 0700U);
    const FifoDirectory moved(std::move(*first));
    const auto second = FifoDirectory::make(directory_.path());
    ASSERT_TRUE(second);
    EXPECT_NE(second->path(), path);
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(FifoDirectory::make(directory_ / "none"));

  const auto in_use = FifoDirectory::make(directory_.path());
  ASSERT_TRUE(in_use);
  const std::string left = directory_ / "fcli.left";
  const std::string young = directory_ / "fcli.young";
  ::mkdir(left.c_str(), 0700);
  ::mkdir(young.c_str(), 0700);
  os::write_file(left + "/x", "");
  const timespec long_ago[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, left.c_str(), long_ago, 0), 0);
  ASSERT_EQ(::utimensat(AT_FDCWD, in_use->path().c_str(), long_ago, 0), 0);
  ASSERT_TRUE(FifoDirectory::make(directory_.path()));
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_TRUE(std::filesystem::exists(young));
  EXPECT_TRUE(std::filesystem::exists(in_use->path()));
}

}  // namespace
}  // namespace prewarm::coproc

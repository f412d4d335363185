// SPDX-License-Identifier: MIT
#include "image/file_reader.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>

#include "os/fd.h"

namespace prewarm::image {
namespace {

constexpr std::size_t kBlock = std::size_t{4} << 20;
constexpr std::size_t kAlignment = 64;
constexpr unsigned kMostThreads = 4;
// Starting a thread takes as long as reading a few files.
constexpr std::size_t kWorthAThread = 64;
constexpr std::size_t kTakenAtATime = 16;

}  // namespace

FileReader::FileReader(unsigned threads) : threads_(threads) {
  if (threads_ == 0) {
    threads_ = std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads);
  }
  lanes_.resize(threads_);
}

FileReader::FileReader(FileReader&& other) noexcept
    : threads_(other.threads_), lanes_(std::exchange(other.lanes_, {})) {}

FileReader& FileReader::operator=(FileReader&& other) noexcept {
  std::swap(threads_, other.threads_);
  std::swap(lanes_, other.lanes_);
  return *this;
}

FileReader::~FileReader() {
  for (const Lane& lane : lanes_) {
    for (const Block& block : lane.blocks) ::munmap(block.at, block.size);
  }
}

void FileReader::each(std::size_t count,
                      const std::function<void(std::size_t i, unsigned lane)>& work) {
  std::atomic<std::size_t> next = 0;
  const auto run = [&](unsigned lane) {
    for (;;) {
      const std::size_t from = next.fetch_add(kTakenAtATime);
      if (from >= count) return;
      const std::size_t to = std::min(count, from + kTakenAtATime);
      for (std::size_t i = from; i < to; ++i) work(i, lane);
    }
  };
  // What a thread is to do. No std::thread: it throws when there can't be one more, but then the
  // others simply do all.
  struct Start {
    const decltype(run)* work;
    unsigned lane;
    pthread_t thread;
  };
  std::vector<Start> others;
  const auto wanted = std::min<std::size_t>(threads_, 1 + count / kWorthAThread);
  others.reserve(wanted);
  for (unsigned lane = 1; lane < wanted; ++lane) {
    Start& start = others.emplace_back(&run, lane, pthread_t{});
    const auto body = [](void* of) -> void* {
      const auto* self = static_cast<const Start*>(of);
      (*self->work)(self->lane);
      return nullptr;
    };
    if (::pthread_create(&start.thread, nullptr, body, &start) != 0) {
      others.pop_back();
      break;
    }
  }
  run(0);
  for (const Start& start : others) ::pthread_join(start.thread, nullptr);
}

FileContents FileReader::read(int directory, const char* path, unsigned lane) {
  FileContents result;
  // O_NONBLOCK: opening a FIFO must not wait for its other end.
  const os::Fd fd(::openat(directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status;
  if (!fd.valid() || ::fstat(fd.get(), &status) != 0) {
    result.error = errno;
    return result;
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (!S_ISREG(status.st_mode)) {
    result.error = EINVAL;
  } else if (size > kMostCopied) {
    result = map(lanes_[lane], fd.get(), size);
  } else {
    result = copy(lanes_[lane], fd.get(), size);
  }
  result.identity = os::FileIdentity::of(status);
  return result;
}

FileContents FileReader::copy(Lane& lane, int fd, std::size_t size) {
  FileContents result;
  const std::span<std::byte> room = room_for(lane, size);
  if (room.size() < size) {
    result.error = ENOMEM;
    return result;
  }
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd, room.data() + done, size - done, static_cast<off_t>(done));
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (got == 0 || errno != EINTR) {
      result.error = got == 0 ? EAGAIN : errno;
      return result;
    }
  }
  result.bytes = room.first(size);
  lane.unused = room.subspan(std::min(room.size(), (size + kAlignment - 1) & ~(kAlignment - 1)));
  return result;
}

FileContents FileReader::map(Lane& lane, int fd, std::size_t size) {
  FileContents result;
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (at == MAP_FAILED) {
    result.error = errno;
    return result;
  }
  lane.blocks.push_back({static_cast<std::byte*>(at), size});
  result.bytes = {static_cast<const std::byte*>(at), size};
  return result;
}

// At least `size` bytes, or none.
std::span<std::byte> FileReader::room_for(Lane& lane, std::size_t size) {
  if (lane.unused.size() >= size) return lane.unused;
  void* at = ::mmap(nullptr, kBlock, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return {};
  // Half of the time of copying small files is for faults of small pages.
  ::madvise(at, kBlock, MADV_HUGEPAGE);
  lane.blocks.push_back({static_cast<std::byte*>(at), kBlock});
  lane.unused = {static_cast<std::byte*>(at), kBlock};
  return lane.unused;
}

}  // namespace prewarm::image

// SPDX-License-Identifier: MIT
#include "image/store.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "image/testing.h"
#include "os/testing.h"

namespace prewarm::image {
namespace {

namespace fs = std::filesystem;

class StoreTest : public os::LeavesNothing {
 protected:
  Store opened(std::uint64_t max_bytes = kDefaultStoreBytes) {
    auto store = Store::open(directory, max_bytes);
    if (!store) ADD_FAILURE() << store.error().message();
    return std::move(*store);
  }
  // A small image with this key, that can't be compressed to less than `bytes`.
  std::vector<std::uint8_t> image(std::uint64_t key, std::size_t bytes = 0) {
    TestMemory memory;
    auto parts = memory.parts();
    parts.header.key[0] = key;
    parts.header.made_at_s = 1000 + key;
    std::vector<std::uint8_t> noise(round_up(bytes, kPageSize));
    for (std::uint64_t x = key; auto& byte : noise) {
      x = x * 6364136223846793005 + 1442695040888963407;
      byte = static_cast<std::uint8_t>(x >> 56);
    }
    if (bytes > 0) {
      parts.regions.push_back({kTestArena + 0x20'0000, noise.size(), PROT_READ, 0, {}, 0, noise});
    }
    return written(std::move(parts));
  }
  static os::Result<void> put(Store& store, std::span<const std::uint8_t> bytes) {
    const auto view = Image::open(bytes);
    return view ? store.put(*view) : std::unexpected(view.error());
  }
  static ImageKey key(std::uint64_t low) { return {low, 0x2222}; }
  std::string file(std::uint64_t low) const {
    char name[64];
    std::snprintf(name, sizeof name, "/0000000000002222%016lx.image", low);
    return directory + name;
  }
  // When it was used last.
  void set_used(std::uint64_t low, std::int64_t seconds) const {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file(low).c_str(), times, 0), 0);
  }
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(directory)) {
      found.insert(entry.path().filename());
    }
    return found;
  }

  os::TempDirectory temporary;
  const std::string directory = temporary / "images";
};

std::vector<std::uint8_t> bytes_of(const os::Result<os::Fd>& fd) {
  EXPECT_TRUE(fd) << fd.error().message();
  if (!fd) return {};
  const auto mapping = Mapping::of(*fd);
  return {mapping->bytes().begin(), mapping->bytes().end()};
}

TEST(StoreDirectory, IsInTheCacheDirectory) {
  EXPECT_EQ(store_directory("/x", "/home/me"), "/x/prewarm/images");
  EXPECT_EQ(store_directory(nullptr, "/home/me"), "/home/me/.cache/prewarm/images");
  EXPECT_EQ(store_directory("x", "/home/me"), "/home/me/.cache/prewarm/images");
  EXPECT_EQ(store_directory(nullptr, nullptr), "");
  EXPECT_EQ(store_directory("", "me"), "");
}

TEST_F(StoreTest, WhatIsPutIsGot) {
  Store store = opened();
  const auto bytes = image(1, 100'000);
  ASSERT_TRUE(put(store, bytes));
  const auto got = store.get(key(1));
  EXPECT_EQ(bytes_of(got), bytes);
  EXPECT_TRUE(is_sealed(*got));
  EXPECT_EQ(names().size(), 1U);
}

TEST_F(StoreTest, WhatIsNotThereIsAnError) {
  Store store = opened();
  const auto got = store.get(key(1));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, ENOENT);
}

TEST_F(StoreTest, ImagesComeToAnotherPlace) {
  Store store = opened();
  const auto bytes = image(1);
  ASSERT_TRUE(put(store, bytes));
  BootId boot{};
  boot[3] = 7;
  const auto got = store.get(key(1), Place{0x3333'3333'3333, boot});
  auto moved = bytes_of(got);
  EXPECT_TRUE(is_sealed(*got));
  ASSERT_TRUE(Image::open(moved));
  EXPECT_EQ(header_of(moved).arena_begin, 0x3333'3333'3000U);
  EXPECT_EQ(header_of(moved).boot[3], 7);
  EXPECT_EQ(bytes_of(store.get(key(1))), bytes) << "on the disk nothing has changed";
}

TEST_F(StoreTest, EntriesAreListedWithoutDecompressing) {
  Store store = opened();
  ASSERT_TRUE(put(store, image(1, 50'000)));
  ASSERT_TRUE(put(store, image(2)));
  set_used(2, 5000);
  // What is behind the header isn't looked at.
  auto damaged = os::read_file(file(2));
  damaged[damaged.size() - 5] ^= 1;
  std::ofstream(file(2), std::ios::binary) << damaged;
  set_used(2, 5000);
  auto entries = store.list();
  ASSERT_TRUE(entries);
  std::ranges::sort(*entries, {}, &StoredEntry::key);
  ASSERT_EQ(entries->size(), 2U);
  const StoredEntry& entry = (*entries)[1];
  EXPECT_EQ(entry.key, key(2));
  EXPECT_EQ(entry.program, "/usr/bin/program");
  EXPECT_EQ(entry.made_at_s, 1002U);
  EXPECT_EQ(entry.last_used_ns, 5'000'000'000'000);
  EXPECT_EQ(entry.stored_bytes, fs::file_size(file(2)));
  EXPECT_EQ(entry.image_bytes, image(2).size());
  EXPECT_GT((*entries)[0].stored_bytes, 50'000U);
}

TEST_F(StoreTest, FilesAreThisUsersAlone) {
  const mode_t mask = ::umask(0777);
  Store store = opened();
  ::chmod(directory.c_str(), 0700);  // which the umask has forbidden
  const auto done = put(store, image(1));
  ::umask(mask);
  ASSERT_TRUE(done) << done.error().message();
  struct stat s;
  ASSERT_EQ(::stat(file(1).c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 07777, 0600U);
}

TEST_F(StoreTest, FilesOfOthersAreNotRead) {
  Store store = opened();
  ASSERT_TRUE(put(store, image(1)));
  ::chmod(file(1).c_str(), 0644);
  EXPECT_EQ(store.get(key(1)).error().code, EPERM);
  EXPECT_TRUE(store.list()->empty());
  fs::rename(file(1), temporary / "elsewhere");
  ::chmod((temporary / "elsewhere").c_str(), 0600);
  fs::create_symlink(temporary / "elsewhere", file(1));
  EXPECT_EQ(store.get(key(1)).error().code, EPERM);
  fs::remove(file(1));
  ASSERT_EQ(::mkfifo(file(1).c_str(), 0600), 0);
  EXPECT_EQ(store.get(key(1)).error().code, EPERM) << "and nobody waits for a writer";
}

TEST_F(StoreTest, DirectoriesThatOthersCanEnterAreRefused) {
  opened();
  ::chmod(directory.c_str(), 0750);
  EXPECT_EQ(Store::open(directory).error().code, EPERM);
  fs::create_symlink(temporary.path(), temporary / "link");
  EXPECT_FALSE(Store::open(temporary / "link"));
  EXPECT_FALSE(Store::open("relative"));
  EXPECT_FALSE(Store::open(""));
}

TEST_F(StoreTest, OnlyOurOwnDirectoriesAreMade) {
  EXPECT_TRUE(Store::open(store_directory(nullptr, temporary.path().c_str())));
  EXPECT_TRUE(fs::is_directory(temporary / ".cache/prewarm/images"));
  const auto other = Store::open(store_directory(nullptr, (temporary / "no-home").c_str()));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ENOENT);
  EXPECT_FALSE(fs::exists(temporary / "no-home"));
  EXPECT_FALSE(Store::open(temporary / "no/where"));
}

TEST_F(StoreTest, EveryFlippedByteIsNoticed) {
  Store store = opened();
  const auto bytes = image(1);
  ASSERT_TRUE(put(store, bytes));
  const std::string whole = os::read_file(file(1));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x41);
    os::write_file(file(1), flipped);
    const auto got = store.get(key(1));
    // Some bits of zstd's frames mean nothing; then the image is what it was.
    ASSERT_TRUE(!got || bytes_of(got) == bytes) << at;
    ASSERT_FALSE(got && at < sizeof(StoredHeader) + 16) << at;
  }
}

TEST_F(StoreTest, EveryOtherLengthIsNoticed) {
  Store store = opened();
  ASSERT_TRUE(put(store, image(1)));
  const std::string whole = os::read_file(file(1));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    os::write_file(file(1), whole.substr(0, size));
    ASSERT_FALSE(store.get(key(1))) << size;
    ASSERT_FALSE(store.verify()->at(0).state) << size;
  }
  os::write_file(file(1), whole + "x");
  EXPECT_FALSE(store.get(key(1)));
  os::write_file(file(1), whole);
  EXPECT_TRUE(store.get(key(1)));
}

TEST_F(StoreTest, AnotherKeyIsNoticed) {
  Store store = opened();
  ASSERT_TRUE(put(store, image(1)));
  fs::rename(file(1), file(2));
  EXPECT_FALSE(store.get(key(2)));
  EXPECT_TRUE(store.list()->empty());
}

TEST_F(StoreTest, PuttingAgainReplaces) {
  Store store = opened();
  ASSERT_TRUE(put(store, image(1)));
  os::write_file(file(1), "damaged");
  const auto bytes = image(1, 5000);
  ASSERT_TRUE(put(store, bytes));
  EXPECT_EQ(bytes_of(store.get(key(1))), bytes);
  EXPECT_EQ(names().size(), 1U);
}

TEST_F(StoreTest, WhatWasUsedLeastRecentlyGoes) {
  Store store = opened(150'000);
  for (const std::uint64_t low : {1, 2, 3}) {
    ASSERT_TRUE(put(store, image(low, 40'000)));
    set_used(low, static_cast<std::int64_t>(1000 + low));
  }
  ASSERT_TRUE(store.get(key(1)));  // is used now
  ASSERT_TRUE(put(store, image(4, 40'000)));
  EXPECT_TRUE(store.get(key(1)));
  EXPECT_FALSE(store.get(key(2)));
  EXPECT_TRUE(store.get(key(3)));
  EXPECT_TRUE(store.get(key(4)));
}

TEST_F(StoreTest, ReplacingNeedsNoMoreRoom) {
  Store store = opened(100'000);
  ASSERT_TRUE(put(store, image(1, 40'000)));
  ASSERT_TRUE(put(store, image(2, 40'000)));
  ASSERT_TRUE(put(store, image(2, 40'000)));
  EXPECT_TRUE(store.get(key(1)));
}

TEST_F(StoreTest, WhatIsTooLargeEvictsNothing) {
  Store store = opened(50'000);
  ASSERT_TRUE(put(store, image(1)));
  const auto done = put(store, image(2, 60'000));
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, EFBIG);
  EXPECT_TRUE(store.get(key(1)));
  EXPECT_EQ(names().size(), 1U);
}

TEST_F(StoreTest, RemovedIsGone) {
  Store store = opened();
  ASSERT_TRUE(put(store, image(1)));
  EXPECT_TRUE(*store.remove(key(1)));
  EXPECT_FALSE(*store.remove(key(1)));
  EXPECT_TRUE(names().empty());
}

TEST_F(StoreTest, VerifyTellsOfEachFile) {
  Store store = opened();
  for (const std::uint64_t low : {1, 2, 3}) ASSERT_TRUE(put(store, image(low)));
  auto damaged = os::read_file(file(2));
  damaged.back() ^= 1;  // of the last block, behind the header's checksum
  os::write_file(file(2), damaged);
  os::write_file(file(3), "");
  os::write_file(directory + "/something-else", "");
  auto all = store.verify();
  ASSERT_TRUE(all);
  std::ranges::sort(*all, {}, &Store::Verified::name);
  ASSERT_EQ(all->size(), 3U);
  EXPECT_TRUE((*all)[0].state);
  EXPECT_FALSE((*all)[1].state);
  EXPECT_EQ((*all)[1].entry->key, key(2));
  EXPECT_FALSE((*all)[2].state);
  EXPECT_FALSE((*all)[2].entry);
}

TEST_F(StoreTest, CollectingRemovesWhatIsOfNoUse) {
  Store store = opened();
  for (const std::uint64_t low : {1, 2, 3}) ASSERT_TRUE(put(store, image(low, 10'000)));
  auto old = os::read_file(file(2));
  old[8] = 77;  // a later version
  os::write_file(file(2), old);
  os::write_file(directory + "/something-else", "");
  auto collected = store.collect();
  ASSERT_TRUE(collected);
  EXPECT_EQ(collected->unusable, 1U);
  EXPECT_EQ(collected->evicted, 0U);
  EXPECT_EQ(collected->bytes, old.size());
  EXPECT_EQ(names().size(), 3U);
  set_used(1, 100);
  collected = opened(15'000).collect();
  ASSERT_TRUE(collected);
  EXPECT_EQ(collected->evicted, 1U);
  EXPECT_TRUE(store.get(key(3)));
  EXPECT_TRUE(fs::exists(directory + "/something-else"));
}

// A writer that is stopped in the middle: it holds its file, and has it taken away when it is dead.
TEST_F(StoreTest, LeftoversOfDeadWritersGo) {
  Store store = opened();
  const std::string leftover = directory + "/.new-0123456789abcdef";
  os::Pipe ready = os::make_pipe(), end = os::make_pipe();
  os::Child writer([&] {
    const os::Fd fd(::open(leftover.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return 1;
    end.write.reset();
    os::write_value(ready.write.get(), 'x');
    os::wait_readable(end.read.get());  // until it is killed
    return 0;
  });
  char byte;
  ASSERT_TRUE(os::read_value(ready.read.get(), byte));
  ASSERT_TRUE(put(store, image(1)));
  EXPECT_EQ(store.collect()->leftovers, 0U);
  EXPECT_TRUE(fs::exists(leftover)) << "its writer lives";
  writer.kill();
  writer.wait();
  ASSERT_TRUE(put(store, image(2)));
  EXPECT_FALSE(fs::exists(leftover));
  EXPECT_EQ(names().size(), 2U);
}

// Writers that are killed at whatever moment leave nothing that is wrong.
TEST_F(StoreTest, KilledWritersLeaveWholeFiles) {
  Store store = opened();
  const auto bytes = image(1, 200'000);
  for (int round = 0; round < 40; ++round) {
    os::Pipe begun = os::make_pipe();
    os::Child writer([&] {
      os::write_value(begun.write.get(), 'x');
      for (;;) (void)put(store, bytes);
      return 0;
    });
    char byte;
    ASSERT_TRUE(os::read_value(begun.read.get(), byte));
    for (int i = 0; i < 5 * round; ++i) (void)store.list();  // until some moment
    writer.kill();
    writer.wait();
    const auto verified = store.verify();
    ASSERT_TRUE(verified);
    for (const auto& one : *verified) EXPECT_TRUE(one.state) << one.state.error().message();
  }
  ASSERT_TRUE(store.collect());
  for (const std::string& name : names()) EXPECT_FALSE(name.starts_with(".new-")) << name;
}

TEST_F(StoreTest, ManyWritersAtOnce) {
  Store store = opened(300'000);
  std::vector<std::unique_ptr<os::Child>> writers;
  for (std::uint64_t low = 0; low < 4; ++low) {
    writers.push_back(std::make_unique<os::Child>([&, low] {
      for (std::uint64_t i = 0; i < 8; ++i) {
        if (!put(store, image((low + i) % 6, 60'000))) return 1;
      }
      return 0;
    }));
  }
  for (auto& writer : writers) EXPECT_EQ(writer->wait(), 0);
  ASSERT_TRUE(put(store, image(7)));
  std::uint64_t total = 0;
  const auto verified = store.verify();
  ASSERT_TRUE(verified);
  for (const auto& one : *verified) {
    EXPECT_TRUE(one.state) << one.state.error().message();
    total += one.entry->stored_bytes;
  }
  EXPECT_LE(total, 300'000U);
  for (const std::string& name : names()) EXPECT_FALSE(name.starts_with(".new-")) << name;
}

// As on a disk that is full: a limit on the size of files fails in the same place.
TEST_F(StoreTest, NothingIsLeftWhereThereIsNoRoom) {
  Store store = opened();
  const auto bytes = image(1, 100'000);
  os::Child writer([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{50'000, 50'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto done = put(store, bytes);
    return !done && done.error().code == EFBIG ? 0 : 1;
  });
  EXPECT_EQ(writer.wait(), 0);
  EXPECT_TRUE(names().empty());
}

TEST_F(StoreTest, DirectoriesThatCannotBeWrittenToAreAnError) {
  Store store = opened();
  const auto bytes = image(1);
  ASSERT_TRUE(put(store, bytes));
  fs::remove_all(directory);  // where root may do everything else
  EXPECT_FALSE(put(store, bytes));
  EXPECT_EQ(store.get(key(1)).error().code, ENOENT);
  EXPECT_TRUE(store.list()->empty());
}

}  // namespace
}  // namespace prewarm::image

// SPDX-License-Identifier: MIT
#include "image/file_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cstring>
#include <string>

#include "os/testing.h"

namespace prewarm::image {
namespace {

std::string text_of(const FileContents& contents) {
  return {reinterpret_cast<const char*>(contents.bytes.data()), contents.bytes.size()};
}

TEST(FileReader, ReadsSmallAndLargeFilesWhole) {
  const os::TempDirectory temp;
  FileReader reader;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, FileReader::kMostCopied,
                                 FileReader::kMostCopied + 1, 8 * FileReader::kMostCopied}) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + size);
    os::write_file(temp / "file", bytes);
    const FileContents contents = reader.read(AT_FDCWD, (temp / "file").c_str());
    EXPECT_EQ(contents.error, 0);
    EXPECT_EQ(contents.identity.size, size);
    EXPECT_TRUE(text_of(contents) == bytes) << size;
  }
}

TEST(FileReader, WhatWasReadStays) {
  const os::TempDirectory temp;
  const os::Fd directory(::open(temp.path().c_str(), O_PATH | O_CLOEXEC));
  FileReader reader(1);
  std::vector<FileContents> all;
  for (int i = 0; i < 200; ++i) {
    os::write_file(temp / "file", std::string(100'000, static_cast<char>(i)));
    all.push_back(reader.read(directory.get(), "file"));
  }
  const FileReader moved = std::move(reader);
  for (int i = 0; i < 200; ++i) {
    const auto text = text_of(all[static_cast<std::size_t>(i)]);
    EXPECT_TRUE(text == std::string(100'000, static_cast<char>(i))) << i;
  }
}

TEST(FileReader, SaysWhatCannotBeRead) {
  const os::TempDirectory temp;
  FileReader reader(1);
  EXPECT_EQ(reader.read(AT_FDCWD, (temp / "none").c_str()).error, ENOENT);
  EXPECT_EQ(reader.read(AT_FDCWD, temp.path().c_str()).error, EINVAL);
  ASSERT_EQ(::mkfifo((temp / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(reader.read(AT_FDCWD, (temp / "fifo").c_str()).error, EINVAL);
}

TEST(FileReader, DoesEachPieceOfWorkOnce) {
  for (const unsigned threads : {1U, 4U}) {
    FileReader reader(threads);
    std::vector<std::atomic<int>> done(5000);
    std::vector<std::atomic<int>> busy(reader.threads());
    std::atomic<int> mistakes = 0;
    reader.each(done.size(), [&](std::size_t i, unsigned lane) {
      if (++busy[lane] != 1) ++mistakes;
      ++done[i];
      --busy[lane];
    });
    for (const auto& count : done) EXPECT_EQ(count.load(), 1);
    EXPECT_EQ(mistakes.load(), 0);
  }
}

}  // namespace
}  // namespace prewarm::image

// SPDX-License-Identifier: MIT
//
// Reads many small files at once, whole, into memory. Small ones are copied: with 10,000 libraries
// of 16 KiB that takes half the time of mapping them, gives a state that nobody changes
// afterwards, and leaves no 10,000 mappings. Large ones are mapped.
//
// io_uring (open, read and close as linked operations, in batches) was measured, too: with files in
// the page cache it takes a fifth more time on a processor, even without asking for their identity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "os/file_identity.h"

namespace prewarm::image {

struct FileContents {
  int error = 0;  // errno; EINVAL also for what isn't a regular file, EAGAIN if it shrank meanwhile
  std::span<const std::byte> bytes;
  os::FileIdentity identity;  // from before it was read: look again before it is relied upon
};

class FileReader {
 public:
  static constexpr std::size_t kMostCopied = std::size_t{256} << 10;  // what is larger is mapped

  // At most `threads` read at a time, the caller's among them. 0: as many as there are processors,
  // but no more than 4.
  explicit FileReader(unsigned threads = 0);
  FileReader(FileReader&&) noexcept;
  FileReader& operator=(FileReader&&) noexcept;
  ~FileReader();  // the bytes of all that was read go with it

  // Calls work(i, lane) for each i below `count`, in any order, in several threads if there is much
  // to do. `lane` is below threads(), and at no time two calls have the same one.
  void each(std::size_t count, const std::function<void(std::size_t i, unsigned lane)>& work);

  // Reads the file `path`, relative to the descriptor `directory` (AT_FDCWD: the current one). Safe
  // in several threads if each has another lane.
  FileContents read(int directory, const char* path, unsigned lane = 0);

  unsigned threads() const { return threads_; }

 private:
  struct Block {
    std::byte* at;
    std::size_t size;
  };
  struct Lane {
    std::vector<Block> blocks;    // all that is to be unmapped
    std::span<std::byte> unused;  // of the last block of copies
  };
  static std::span<std::byte> room_for(Lane& lane, std::size_t size);
  static FileContents copy(Lane& lane, int fd, std::size_t size);
  static FileContents map(Lane& lane, int fd, std::size_t size);

  unsigned threads_;
  std::vector<Lane> lanes_;
};

}  // namespace prewarm::image

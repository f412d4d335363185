// SPDX-License-Identifier: MIT
//
// What prewarm reads of programs and libraries without loading them. Nothing in a file is trusted:
// every offset is checked before it is used.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "launch/reason.h"

namespace prewarm::park {

#if defined(__x86_64__)
inline constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
inline constexpr Elf64_Half kMachine = EM_AARCH64;
#endif

// A file mapped for reading, as long as this lives.
class MappedFile {
 public:
  MappedFile(int fd, std::size_t size);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();
  bool valid() const { return bytes_ != nullptr; }
  std::string_view at(std::uint64_t offset, std::uint64_t size) const {
    if (offset > size_ || size > size_ - offset) return {};
    return {bytes_ + offset, size};
  }
  template <class T>
  bool read(std::uint64_t offset, T& value) const {
    const auto bytes = at(offset, sizeof value);
    if (bytes.size() != sizeof value) return false;
    std::memcpy(&value, bytes.data(), sizeof value);
    return true;
  }

 private:
  const char* bytes_ = nullptr;
  std::size_t size_;
};

// Whether glibc's dynamic linker starts the program, by glibc's own start-up code; or why not.
launch::Reason check_elf(const MappedFile& file);

// What the dynamic linker goes by. Places are offsets in the file; 0: there is no such table.
struct DynamicSection {
  bool found = false;
  std::uint64_t search_path = 0;  // DT_RPATH or DT_RUNPATH: where it starts in `names`; 0: none
  std::string_view names;         // of symbols, among others
  std::uint64_t symbols = 0;
  std::uint64_t versions = 0;       // of symbols
  std::uint64_t hashes = 0;         // DT_GNU_HASH
  std::string_view relocations[2];  // of data, and of calls
};

DynamicSection read_dynamic(const MappedFile& file);

// Whether `program` exports all that `library` leaves undefined without asking for a version: what
// comes from a library of the system has one, so this is what the program itself must have.
bool exports_needs_of(const MappedFile& program, const MappedFile& library);

}  // namespace prewarm::park

// SPDX-License-Identifier: MIT
#include "park/part.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <span>

#include "os/fd.h"

namespace prewarm::park {
namespace {

#if defined(__x86_64__)
constexpr Elf64_Half kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half kMachine = EM_AARCH64;
#endif

// The linker puts program headers and notes at the start of a file.
constexpr std::size_t kHeadBytes = 4096;

template <class T>
bool read_at(std::span<const char> bytes, std::uint64_t offset, T& value) {
  if (offset > bytes.size() || sizeof value > bytes.size() - offset) return false;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return true;
}

bool lies_within(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  return offset <= size && length <= size - offset;
}

bool has_note(std::span<const char> head, std::uint64_t offset, std::uint64_t length,
              const PartNote& wanted) {
  PartNote note{.part = {}};
  // Ours is alone in its segment or stands beside others of the same alignment.
  for (std::uint64_t at = 0; lies_within(at, sizeof note, length); at += 4) {
    if (!read_at(head, offset + at, note)) return false;
    if (note == wanted) return true;
  }
  return false;
}

// `head` is how a file of `size` bytes starts.
bool is_whole_part(std::span<const char> head, std::uint64_t size, Part part) {
  Elf64_Ehdr header;
  if (!read_at(head, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return false;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != kMachine ||
      header.e_type != ET_DYN || header.e_phentsize != sizeof(Elf64_Phdr)) {
    return false;
  }
  // The section headers are what comes last.
  if (!lies_within(header.e_shoff, std::uint64_t{header.e_shnum} * header.e_shentsize, size)) {
    return false;
  }
  const PartNote wanted{.part = part};
  bool noted = false;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr p;
    if (!read_at(head, header.e_phoff + i * sizeof p, p)) return false;
    if (p.p_type == PT_LOAD && !lies_within(p.p_offset, p.p_filesz, size)) return false;
    if (p.p_type == PT_NOTE) noted = noted || has_note(head, p.p_offset, p.p_filesz, wanted);
  }
  return noted;
}

}  // namespace

bool is_part(const char* path, Part part) {
  const os::Fd fd(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat s;
  if (!fd.valid() || ::fstat(fd.get(), &s) != 0 || !S_ISREG(s.st_mode)) return false;
  char head[kHeadBytes];
  const ssize_t n = ::read(fd.get(), head, sizeof head);
  return n > 0 && is_whole_part({head, static_cast<std::size_t>(n)},
                                static_cast<std::uint64_t>(s.st_size), part);
}

}  // namespace prewarm::park

// SPDX-License-Identifier: MIT
#include "park/part.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cstring>
#include <span>

#include "os/fd.h"
#include "park/elf_file.h"

namespace prewarm::park {
namespace {

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

struct OpenFile {
  os::Fd fd;
  struct stat s{};
};

// False: there is no such file, or it can't be read, or is no file in the narrow sense.
bool open_file(const char* path, OpenFile& file) {
  file.fd.reset(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  return file.fd.valid() && ::fstat(file.fd.get(), &file.s) == 0 && S_ISREG(file.s.st_mode);
}

}  // namespace

bool is_part(const char* path, Part part) {
  OpenFile file;
  if (!open_file(path, file)) return false;
  char head[kHeadBytes];
  const ssize_t n = ::read(file.fd.get(), head, sizeof head);
  return n > 0 && is_whole_part({head, static_cast<std::size_t>(n)},
                                static_cast<std::uint64_t>(file.s.st_size), part);
}

bool fits_into(const char* part, const char* program) {
  OpenFile host;
  OpenFile guest;
  if (!open_file(program, host) || !open_file(part, guest)) return false;
  // Where an exec changes privileges nothing is preloaded.
  if ((host.s.st_mode & (S_ISUID | S_ISGID)) != 0) return false;
  if (::fgetxattr(host.fd.get(), "security.capability", nullptr, 0) > 0) return false;
  const MappedFile host_file(host.fd.get(), static_cast<std::size_t>(host.s.st_size));
  const MappedFile guest_file(guest.fd.get(), static_cast<std::size_t>(guest.s.st_size));
  return host_file.valid() && guest_file.valid() && check_elf(host_file) == launch::Reason::none &&
         exports_needs_of(host_file, guest_file);
}

}  // namespace prewarm::park

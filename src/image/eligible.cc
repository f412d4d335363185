// SPDX-License-Identifier: MIT
#include "image/eligible.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "image/diagnostics.h"
#include "image/elf_file.h"
#include "image/mapped_file.h"
#include "os/fd.h"

namespace prewarm::image {
namespace {

bool read_at(const os::Fd& file, void* buffer, std::size_t size, std::uint64_t offset) {
  return ::pread(file.get(), buffer, size, static_cast<off_t>(offset)) ==
         static_cast<ssize_t>(size);
}

Refusal check_segments(const os::Fd& file, const Elf64_Ehdr& header) {
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0 || header.e_phnum > 64) {
    return Refusal::not_elf;
  }
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  if (!read_at(file, segments.data(), segments.size() * sizeof(Elf64_Phdr), header.e_phoff)) {
    return Refusal::not_elf;
  }
  bool has_loader = false;
  bool has_headers = false;
  for (const auto& segment : segments) {
    if (segment.p_type == PT_GNU_STACK && (segment.p_flags & PF_X) != 0) {
      return Refusal::executable_stack;
    }
    has_headers |= segment.p_type == PT_PHDR;
    if (segment.p_type != PT_INTERP) continue;
    has_loader = true;
    std::array<char, 256> name{};
    if (segment.p_filesz >= name.size() ||
        !read_at(file, name.data(), segment.p_filesz, segment.p_offset)) {
      return Refusal::not_elf;
    }
    if (std::string_view(name.data()) != kLoaderPath) return Refusal::other_loader;
  }
  if (!has_loader) return Refusal::static_program;
  return has_headers ? Refusal::none : Refusal::unusual_start;
}

// ThreadSanitizer, MemorySanitizer and their like divide the address space, and end a program of
// which something is where they want their shadow. Who is compiled for one has or needs its start.
bool has_own_layout(const std::string& path) {
  const auto file = MappedFile::open(path.c_str());
  if (!file) return false;
  Diagnostics diagnostics;
  const auto elf = ElfFile::read(file->bytes(), diagnostics);
  if (!elf) return false;
  constexpr std::array kStarts = {"__tsan_init", "__msan_init", "__dfsan_init", "__hwasan_init"};
  return std::ranges::any_of(kStarts, [&](std::string_view name) {
    return elf->strings().find(std::string(name) + '\0') != std::string_view::npos;
  });
}

}  // namespace

Refusal check_program(const std::string& path) {
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat s{};
  if (!file.valid() || ::fstat(file.get(), &s) != 0 || !S_ISREG(s.st_mode)) {
    return Refusal::not_found;
  }
  if ((s.st_mode & (S_ISUID | S_ISGID)) != 0 ||
      ::fgetxattr(file.get(), "security.capability", nullptr, 0) > 0) {
    return Refusal::privileged;
  }
  Elf64_Ehdr header{};
  if (!read_at(file, &header, sizeof header, 0) ||
      std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_machine != EM_X86_64 || (header.e_type != ET_DYN && header.e_type != ET_EXEC)) {
    return Refusal::not_elf;
  }
  const auto refusal = check_segments(file, header);
  return refusal == Refusal::none && has_own_layout(path) ? Refusal::own_layout : refusal;
}

}  // namespace prewarm::image

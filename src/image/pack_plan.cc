// SPDX-License-Identifier: MIT
#include "image/pack_plan.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <utility>

#if !defined(__x86_64__)
#error "Libraries can be pushed into each other only where code doesn't count in pages: on x86-64."
#endif

namespace prewarm::image {
namespace {

// The libraries of glibc itself. They go with their ld.so and know its inside.
constexpr std::array<std::string_view, 18> kGlibc = {
    "libc.so.",         "libm.so.",      "libmvec.so.",           "libpthread.so.",
    "libdl.so.",        "librt.so.",     "libutil.so.",           "libresolv.so.",
    "libanl.so.",       "libnsl.so.",    "libBrokenLocale.so.",   "libnss_",
    "libthread_db.so.", "ld-linux",      "libc_malloc_debug.so.", "libmemusage.so",
    "libpcprofile.so",  "linux-vdso.so."};

// More than this isn't copied into an image.
constexpr std::uint64_t kMostWritable = 64 << 20;

bool is_of_glibc(const ElfFile& elf) {
  const auto name = elf.soname().value_or("");
  for (const auto& mine : kGlibc) {
    if (name.starts_with(mine)) return true;
  }
  const auto is_private = [](const Version& version) { return version.name == "GLIBC_PRIVATE"; };
  return std::ranges::any_of(elf.defined_versions(), is_private) ||
         std::ranges::any_of(elf.needed_versions(), is_private);
}

const char* why_segments(const ElfFile& elf) {
  const auto stack = elf.stack_flags();
  if (!stack || (*stack & PF_X) != 0) return "it wants an executable stack";
  if (elf.is_executable() || elf.interpreter()) return "it is a program";
  if (elf.loads().empty() || elf.loads().front().p_vaddr != 0 ||
      elf.loads().front().p_offset != 0) {
    return "its header isn't at its base";
  }
  for (const auto& segment : elf.loads()) {
    if ((segment.p_flags & PF_R) == 0) return "a segment of it can't be read";
    if ((segment.p_flags & PF_W) == 0) continue;
    if ((segment.p_flags & PF_X) != 0) return "a segment of it is writable and executable";
    if (segment.p_memsz > kMostWritable) return "it has very many variables";
  }
  if (elf.program_headers().size() * sizeof(Elf64_Phdr) + elf.header().e_phoff >
      elf.loads().front().p_filesz) {
    return "its program headers aren't in its memory";
  }
  return nullptr;
}

bool is_writable(const ElfFile& elf, std::uint64_t address, std::uint64_t size) {
  return std::ranges::any_of(elf.loads(), [&](const auto& segment) {
    return (segment.p_flags & PF_W) != 0 && address >= segment.p_vaddr &&
           address - segment.p_vaddr <= segment.p_memsz &&
           segment.p_memsz - (address - segment.p_vaddr) >= size;
  });
}

const char* why_dynamic(const ElfFile& elf) {
  if ((elf.flags() & DF_TEXTREL) != 0 || elf.tag(DT_TEXTREL)) return "its code is relocated";
  if (elf.tag(DT_FILTER) || elf.tag(DT_AUXILIARY)) return "it is a filter of other libraries";
  for (const auto& segment : elf.program_headers()) {
    if (segment.p_type == PT_DYNAMIC && !is_writable(elf, segment.p_vaddr, segment.p_memsz)) {
      return "its dynamic section is read-only";
    }
  }
  for (std::uint32_t i = 1; i < elf.symbol_count(); ++i) {
    const auto symbol = elf.raw_symbol(i);
    if (ELF64_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC && symbol.st_shndx != SHN_UNDEF) {
      return "it chooses functions by the processor (IFUNC)";
    }
  }
  return nullptr;
}

const char* why_relocation(const ElfFile& elf, const Elf64_Rela& relocation) {
  switch (ELF64_R_TYPE(relocation.r_info)) {
    case R_X86_64_NONE:
      return nullptr;
    case R_X86_64_GLOB_DAT:
    case R_X86_64_JUMP_SLOT:
      if (relocation.r_addend != 0) return "it has an unusual relocation";
      break;
    case R_X86_64_RELATIVE:
    case R_X86_64_64:
    case R_X86_64_DTPMOD64:
    case R_X86_64_DTPOFF64:
    case R_X86_64_TPOFF64:
    case R_X86_64_SIZE64:
      break;
    case R_X86_64_IRELATIVE:
      return "it chooses functions by the processor (IRELATIVE)";
    case R_X86_64_TLSDESC:
      return "it has thread-local variables by descriptor (TLSDESC)";
    default:
      return "it has an unusual relocation";
  }
  if (!is_writable(elf, relocation.r_offset, 8)) return "a relocation isn't in its variables";
  return nullptr;
}

const char* why_relocations(const ElfFile& elf) {
  for (const auto& table : {elf.relocations(), elf.plt_relocations()}) {
    for (const auto& relocation : table) {
      if (const auto* why = why_relocation(elf, relocation)) return why;
    }
  }
  Diagnostics diagnostics;
  const auto relative = elf.relative_words(diagnostics);
  if (!relative) return "its relative relocations are wrong";
  for (const auto address : *relative) {
    if (!is_writable(elf, address, 8)) return "a relocation isn't in its variables";
  }
  return nullptr;
}

}  // namespace

std::optional<std::string> why_kept(const LibraryFile& file, bool with_large) {
  const auto& elf = file.elf;
  if (!elf.is_dynamic()) return "it isn't a dynamic library";
  if (is_of_glibc(elf)) return "it is glibc's own";
  std::uint64_t bytes = 0;
  for (const auto& segment : elf.loads()) bytes += segment.p_memsz;
  if (bytes > kSmallItem && !with_large) return "it is large, and has pages of its own anyway";
  for (const auto check : {why_segments, why_dynamic, why_relocations}) {
    if (const auto* why = check(elf)) return why;
  }
  return {};
}

PackPlan::PackPlan(std::shared_ptr<const LibraryFile> program, bool with_large)
    : program_(std::move(program)), with_large_(with_large) {
  const auto& elf = program_->elf;
  for (const auto& relocation : elf.relocations()) {
    if (ELF64_R_TYPE(relocation.r_info) != R_X86_64_COPY) continue;
    const auto symbol = elf.symbol(ELF64_R_SYM(relocation.r_info));
    if (symbol) copied_.emplace(symbol->name);
  }
}

bool PackPlan::is_packed(const std::string& path) {
  if (packed_.contains(path)) return true;
  if (kept_.contains(path)) return false;
  auto file = open_library(path);
  if (!file) {
    keep(path, file.error().message());
    return false;
  }
  if (auto why = why_kept(**file, with_large_)) {
    keep(path, std::move(*why));
    return false;
  }
  const auto& elf = (*file)->elf;
  for (const auto& name : copied_) {
    if (elf.find(Wanted(name, nullptr, true))) {
      keep(path, "the program has a copy of its variable " + name);
      return false;
    }
  }
  PackLibrary library{*file, movable_tables(elf), {}};
  library.item = place_item(elf, library.tables);
  packed_.emplace(path, std::move(library));
  return true;
}

void PackPlan::keep(const std::string& path, std::string why) {
  packed_.erase(path);
  kept_.insert_or_assign(path, std::move(why));
}

const PackLibrary* PackPlan::library(const std::string& path) const {
  const auto at = packed_.find(path);
  return at == packed_.end() ? nullptr : &at->second;
}

}  // namespace prewarm::image

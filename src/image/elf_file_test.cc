// SPDX-License-Identifier: MIT
#include "image/elf_file.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>

#include "image/mapped_file.h"
#include "os/testing.h"

namespace prewarm::image {
namespace {

constexpr char kLibc[] = "/lib/x86_64-linux-gnu/libc.so.6";
constexpr char kLibm[] = "/lib/x86_64-linux-gnu/libm.so.6";
constexpr char kProgram[] = "/usr/bin/true";

Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// A file and what was read of it.
class Loaded {
 public:
  explicit Loaded(const char* path) : file_(MappedFile::open(path)) {
    if (!file_) return;
    Diagnostics diagnostics;
    elf_ = ElfFile::read(file_->bytes(), diagnostics);
    problem_ = diagnostics.first();
  }
  const ElfFile* operator->() const { return &*elf_; }
  const ElfFile& operator*() const { return *elf_; }
  bool valid() const { return elf_.has_value(); }
  const std::string& problem() const { return problem_; }

 private:
  os::Result<MappedFile> file_;
  std::optional<ElfFile> elf_;
  std::string problem_;
};

// What is said first of the bytes of `path` after a change.
std::string first_problem(const char* path, const std::function<void(std::string&)>& change) {
  std::string bytes = os::read_file(path);
  change(bytes);
  Diagnostics diagnostics;
  const auto elf = ElfFile::read(bytes_of(bytes), diagnostics);
  EXPECT_EQ(elf.has_value(), diagnostics.count() == 0);
  const std::string first = diagnostics.first();
  return first.substr(0, first.find(" ("));
}

std::string after_header_change(const std::function<void(Elf64_Ehdr&)>& change) {
  return first_problem(
      kProgram, [&](std::string& bytes) { change(*reinterpret_cast<Elf64_Ehdr*>(bytes.data())); });
}

std::string after_segment_change(std::uint32_t type,
                                 const std::function<void(Elf64_Phdr&)>& change) {
  return first_problem(kProgram, [&](std::string& bytes) {
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      auto* at = bytes.data() + header.e_phoff + i * sizeof(Elf64_Phdr);
      if (auto* p = reinterpret_cast<Elf64_Phdr*>(at); p->p_type == type) change(*p);
    }
  });
}

std::string after_tag_change(std::int64_t tag, const std::function<void(Elf64_Dyn&)>& change) {
  return first_problem(kLibm, [&](std::string& bytes) {
    Diagnostics diagnostics;
    const auto elf = ElfFile::read(bytes_of(bytes), diagnostics);
    const auto entries = elf->dynamic();
    for (const Elf64_Phdr p : elf->program_headers()) {
      if (p.p_type != PT_DYNAMIC) continue;
      auto* at = reinterpret_cast<Elf64_Dyn*>(bytes.data() + *elf->file_offset(p.p_vaddr));
      for (std::size_t i = 0; i < entries.size(); ++i) {
        if (at[i].d_tag == tag) change(at[i]);
      }
    }
  });
}

TEST(ElfFile, ReadsTheHeadersOfAProgram) {
  const Loaded program(kProgram);
  ASSERT_TRUE(program.valid()) << program.problem();
  EXPECT_EQ(program->interpreter(), "/lib64/ld-linux-x86-64.so.2");
  EXPECT_EQ(program->loads().size(), 4U);
  EXPECT_TRUE(program->relro().has_value());
  EXPECT_TRUE(program->eh_frame_header().has_value());
  EXPECT_EQ(program->stack_flags(), PF_R | PF_W);
  EXPECT_EQ(program->build_id().size(), 20U);
  EXPECT_EQ(program->needed(), std::vector<std::string_view>{"libc.so.6"});
  EXPECT_NE(program->flags_1() & DF_1_PIE, 0U);
  EXPECT_EQ(program->largest_section_alignment(), 32U);
  EXPECT_EQ(program->init_array().size, 8U);
  EXPECT_FALSE(program->soname().has_value());
}

TEST(ElfFile, ReadsTheVersionsOfALibrary) {
  const Loaded libm(kLibm);
  ASSERT_TRUE(libm.valid()) << libm.problem();
  EXPECT_EQ(libm->soname(), "libm.so.6");
  const auto& needs = libm->needed_versions();
  const auto need = std::find_if(needs.begin(), needs.end(),
                                 [](const Version& v) { return v.name == "GLIBC_PRIVATE"; });
  ASSERT_NE(need, needs.end());
  EXPECT_EQ(need->hash, elf_hash("GLIBC_PRIVATE"));
  EXPECT_TRUE(need->file == "libc.so.6" || need->file == "ld-linux-x86-64.so.2");
  const auto& definitions = libm->defined_versions();
  EXPECT_TRUE(std::any_of(definitions.begin(), definitions.end(), [](const Version& v) {
    return v.name == "GLIBC_2.29" && v.hash == elf_hash("GLIBC_2.29");
  }));
}

// The linker of this process is asked the same.
void compare_with_dlvsym(const char* path) {
  void* handle = ::dlopen(path, RTLD_NOW);
  ASSERT_NE(handle, nullptr);
  link_map* map = nullptr;
  ASSERT_EQ(::dlinfo(handle, RTLD_DI_LINKMAP, &map), 0);
  const Loaded library(path);
  ASSERT_TRUE(library.valid()) << library.problem();
  int compared = 0;
  for (std::uint32_t i = 1; i < library->symbol_count(); ++i) {
    const auto symbol = library->symbol(i);
    ASSERT_TRUE(symbol.has_value());
    if (symbol->section == SHN_UNDEF || symbol->section == SHN_ABS) continue;
    const Version* version = library->version_of(i);
    ASSERT_NE(version, nullptr) << symbol->name;
    const auto found = library->find(Wanted(symbol->name, version, true));
    ASSERT_EQ(found, i) << symbol->name << '@' << version->name;
    if (symbol->type != STT_FUNC && symbol->type != STT_OBJECT) continue;
    const void* theirs =
        ::dlvsym(handle, std::string(symbol->name).c_str(), std::string(version->name).c_str());
    // An object of the process's own may stand before the library's: a copy.
    if (symbol->type == STT_FUNC) {
      EXPECT_EQ(theirs, reinterpret_cast<void*>(map->l_addr + symbol->value)) << symbol->name;
    }
    ++compared;
  }
  EXPECT_GT(compared, 500);
  ::dlclose(handle);
}

TEST(ElfFile, FindsEachSymbolByItsVersionAsTheDynamicLinkerDoes) {
  if (PREWARM_SANITIZED) GTEST_SKIP() << "its functions stand in for the C library's";
  compare_with_dlvsym(kLibc);
  compare_with_dlvsym(kLibm);
}

TEST(ElfFile, WithoutAVersionTheOldestOrTheOnlyOneIsFound) {
  const Loaded libc(kLibc);
  ASSERT_TRUE(libc.valid()) << libc.problem();
  const auto version_found = [&](const char* name) -> std::string_view {
    const auto found = libc->find(Wanted(name, nullptr, true));
    return found ? libc->version_of(*found)->name : std::string_view();
  };
  EXPECT_EQ(version_found("memcpy"), "GLIBC_2.2.5");    // though 2.14 is the default
  EXPECT_EQ(version_found("getrandom"), "GLIBC_2.25");  // only one, not hidden
  EXPECT_EQ(version_found("no_such_function_here"), "");
}

TEST(ElfFile, AWrongVersionIsNoAnswer) {
  const Loaded libc(kLibc);
  ASSERT_TRUE(libc.valid());
  Version version;
  version.name = "GLIBC_2.3";
  version.hash = elf_hash(version.name);
  EXPECT_FALSE(libc->find(Wanted("memcpy", &version, true)).has_value());
  version.name = "GLIBC_2.14";
  version.hash = elf_hash(version.name);
  EXPECT_TRUE(libc->find(Wanted("memcpy", &version, true)).has_value());
}

TEST(ElfFile, ReferencesOfAProgramLeadToItsLibrary) {
  const Loaded program("/usr/bin/env");
  const Loaded libc(kLibc);
  ASSERT_TRUE(program.valid() && libc.valid());
  int found = 0;
  const auto calls = program->plt_relocations();
  const auto data = program->relocations();
  for (const auto& table : {calls, data}) {
    for (const Elf64_Rela r : table) {
      const auto index = static_cast<std::uint32_t>(ELF64_R_SYM(r.r_info));
      if (index == 0) continue;
      const auto symbol = program->symbol(index);
      ASSERT_TRUE(symbol.has_value());
      if (symbol->binding == STB_WEAK) continue;
      const Version* version = program->version_of(index);
      ASSERT_NE(version, nullptr) << symbol->name;
      EXPECT_EQ(version->file, "libc.so.6");
      const bool call = ELF64_R_TYPE(r.r_info) == R_X86_64_JUMP_SLOT;
      EXPECT_TRUE(libc->find(Wanted(symbol->name, version, call)).has_value()) << symbol->name;
      ++found;
    }
  }
  EXPECT_GT(found, 30);
}

TEST(ElfFile, ReadsTheLibrariesAndProgramsOfTheSystem) {
  int files = 0;
  for (const char* directory : {"/usr/lib/x86_64-linux-gnu", "/usr/bin"}) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      if (!entry.is_regular_file() || files >= 1500) continue;
      const auto file = MappedFile::open(entry.path().c_str());
      if (!file || ElfFile::kind_of(file->bytes()) != Kind::elf) continue;
      Diagnostics diagnostics;
      const auto elf = ElfFile::read(file->bytes(), diagnostics);
      EXPECT_TRUE(elf.has_value()) << entry.path() << ": " << diagnostics.first();
      if (!elf) continue;
      EXPECT_TRUE(elf->relative_words(diagnostics).has_value()) << entry.path();
      EXPECT_TRUE(elf->largest_section_alignment().has_value()) << entry.path();
      ++files;
    }
  }
  EXPECT_GT(files, 200);
}

TEST(ElfFile, SaysWhatIsWrongWithAHeader) {
  EXPECT_EQ(first_problem(kProgram, [](std::string&) {}), "");
  EXPECT_EQ(first_problem(kProgram, [](std::string& b) { b.resize(40); }), "no ELF header");
  EXPECT_EQ(after_header_change([](auto& h) { h.e_machine = EM_AARCH64; }), "not for 64-bit x86");
  EXPECT_EQ(after_header_change([](auto& h) { h.e_ident[EI_CLASS] = ELFCLASS32; }),
            "not for 64-bit x86");
  EXPECT_EQ(after_header_change([](auto& h) { h.e_type = ET_REL; }),
            "an ELF header that ld.so refuses");
  EXPECT_EQ(after_header_change([](auto& h) { h.e_phoff = ~std::uint64_t{0} - 8; }),
            "program headers outside the file");
  EXPECT_EQ(after_header_change([](auto& h) { h.e_phnum = 0xffff; }),
            "program headers outside the file");
}

TEST(ElfFile, SaysWhatIsWrongWithASegment) {
  const auto load = [](const std::function<void(Elf64_Phdr&)>& change) {
    return after_segment_change(PT_LOAD, change);
  };
  EXPECT_EQ(load([](auto& p) { p.p_filesz = p.p_memsz + 1; }), "a segment that ld.so refuses");
  EXPECT_EQ(load([](auto& p) { p.p_align = 48; }), "a segment that ld.so refuses");
  EXPECT_EQ(load([](auto& p) { p.p_filesz = p.p_memsz = std::uint64_t{1} << 46; }),
            "a segment outside the file");
  EXPECT_EQ(load([](auto& p) { p.p_vaddr += std::uint64_t{1} << 60; }),
            "a segment outside the address space");
  EXPECT_EQ(load([](auto& p) { p.p_vaddr = 0x1000 + p.p_offset % 0x1000; }),
            "segments overlap, or aren't in order");
  EXPECT_EQ(after_segment_change(PT_DYNAMIC, [](auto& p) { p.p_filesz = 32; }),
            "a dynamic section without an end");
  EXPECT_EQ(after_segment_change(PT_INTERP, [](auto& p) { p.p_filesz = 4; }),
            "the interpreter's name has no end");
}

TEST(ElfFile, SaysWhatIsWrongWithTheDynamicSection) {
  const auto far = [](Elf64_Dyn& d) { d.d_un.d_val = ~std::uint64_t{0} - 7; };
  EXPECT_EQ(after_tag_change(DT_STRTAB, far), "a table of strings without an end");
  EXPECT_EQ(after_tag_change(DT_STRSZ, far), "a table of strings without an end");
  EXPECT_EQ(after_tag_change(DT_NEEDED, far), "a needed name outside the strings");
  EXPECT_EQ(after_tag_change(DT_SONAME, far), "a name outside the strings");
  EXPECT_EQ(after_tag_change(DT_SYMTAB, far), "symbols outside the file");
  EXPECT_EQ(after_tag_change(DT_GNU_HASH, far), "a table of GNU hashes outside the file");
  EXPECT_EQ(after_tag_change(DT_RELASZ, far), "relocations outside the file");
  EXPECT_EQ(after_tag_change(DT_RELA, far), "relocations outside the file");
  EXPECT_EQ(after_tag_change(DT_VERNEED, far), "needed versions outside the file");
  EXPECT_EQ(after_tag_change(DT_VERDEF, far), "definitions of versions outside the file");
  EXPECT_EQ(after_tag_change(DT_VERSYM, far), "versions of symbols outside the file");
}

TEST(ElfFile, CollectsAllProblemsIfAsked) {
  std::string bytes = os::read_file(kLibm);
  Diagnostics diagnostics(Diagnostics::Mode::collect);
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    auto* p = reinterpret_cast<Elf64_Phdr*>(bytes.data() + header.e_phoff + i * sizeof(Elf64_Phdr));
    if (p->p_type == PT_LOAD) p->p_align = 3;
  }
  EXPECT_FALSE(ElfFile::read(bytes_of(bytes), diagnostics).has_value());
  EXPECT_GT(diagnostics.count(), 4U);
  Diagnostics first;
  EXPECT_FALSE(ElfFile::read(bytes_of(bytes), first).has_value());
  EXPECT_EQ(first.count(), 1U);
}

TEST(ElfFile, APrefixOfAFileIsSafeToRead) {
  const std::string bytes = os::read_file(kProgram);
  for (std::size_t size = 0; size < bytes.size(); size += 61) {
    // A copy of its own, so that a sanitizer sees an access beyond.
    const std::vector<std::byte> cut(bytes_of(bytes).begin(),
                                     bytes_of(bytes).begin() + static_cast<std::ptrdiff_t>(size));
    Diagnostics diagnostics;
    const auto elf = ElfFile::read(cut, diagnostics);
    if (elf) elf->largest_section_alignment();
  }
}

// ---- The seeds of the fuzzer: small libraries with everything -----------------------------------

std::string seed(const std::string& name) {
  return os::read_file(PREWARM_TEST_SOURCE_DIR "/fuzz/corpus/fuzz_library/" + name);
}

std::string version_name_found(const ElfFile& elf, const Wanted& wanted) {
  const auto found = elf.find(wanted);
  if (!found) return "nothing";
  EXPECT_EQ(elf.symbol(*found)->name, wanted.name);
  const Version* version = elf.version_of(*found);
  return version == nullptr ? "none" : std::string(version->name);
}

TEST(ElfFile, BothKindsOfHashesFindTheSame) {
  for (const char* name : {"gnu-hash", "old-hash", "both-hashes"}) {
    const std::string bytes = seed(name);
    Diagnostics diagnostics;
    const auto elf = ElfFile::read(bytes_of(bytes), diagnostics);
    ASSERT_TRUE(elf.has_value()) << name << ": " << diagnostics.first();
    EXPECT_EQ(elf->symbol_count(), 7U);
    ASSERT_EQ(elf->defined_versions().size(), 2U);
    const Version& old = elf->defined_versions()[0];
    const Version& newer = elf->defined_versions()[1];
    Version insists = newer;
    insists.hidden = true;
    EXPECT_EQ(version_name_found(*elf, Wanted("one", &old, true)), "X_1");
    EXPECT_EQ(version_name_found(*elf, Wanted("one", &newer, true)), "X_2");
    EXPECT_EQ(version_name_found(*elf, Wanted("one", nullptr, true)), "X_1");
    EXPECT_EQ(version_name_found(*elf, Wanted("two", nullptr, true)), "X_2");
    EXPECT_EQ(version_name_found(*elf, Wanted("two", &old, true)), "nothing");
    EXPECT_EQ(version_name_found(*elf, Wanted("three", &newer, true)), "none");
    EXPECT_EQ(version_name_found(*elf, Wanted("three", &insists, true)), "nothing");
    EXPECT_EQ(version_name_found(*elf, Wanted("four", nullptr, true)), "X_1");
    EXPECT_EQ(version_name_found(*elf, Wanted("exit", nullptr, true)), "nothing");
  }
}

TEST(ElfFile, WithoutATableOfVersionsAnyVersionIsFound) {
  const std::string bytes = seed("no-versions");
  Diagnostics diagnostics;
  const auto elf = ElfFile::read(bytes_of(bytes), diagnostics);
  ASSERT_TRUE(elf.has_value()) << diagnostics.first();
  EXPECT_FALSE(elf->has_versions());
  EXPECT_TRUE(elf->find(Wanted("two", &elf->defined_versions()[0], true)).has_value());
}

TEST(ElfFile, ReadsNotesRelocationsAndSections) {
  const std::string bytes = seed("calls-among-relocations");
  Diagnostics diagnostics;
  const auto elf = ElfFile::read(bytes_of(bytes), diagnostics);
  ASSERT_TRUE(elf.has_value()) << diagnostics.first();
  EXPECT_EQ(elf->relocations().size(), 2U);
  EXPECT_EQ(elf->plt_relocations().size(), 1U);
  // 0b1011: a mark, and the first and third word that follow; 0b101: the second of the next 63.
  const std::vector<std::uint64_t> words{0x40, 0x48, 0x58, 0x248, 0x100};
  EXPECT_EQ(elf->relative_words(diagnostics), words);
  EXPECT_EQ(elf->init_array().size, 16U);
  EXPECT_EQ(elf->largest_section_alignment(), 32U);
  EXPECT_EQ(elf->runpath(), "$ORIGIN/../lib");
  const Bytes id = elf->build_id();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(id.data()), id.size()), "build-id");
  EXPECT_EQ(elf->version_of(1)->name, "GLIBC_2.2.5");
  EXPECT_EQ(elf->version_of(1)->file, "libc.so.6");
}

TEST(ElfFile, SaysWhatIsWrongWithASeed) {
  const auto problem = [](const char* name) {
    const std::string bytes = seed(name);
    Diagnostics diagnostics;
    if (const auto elf = ElfFile::read(bytes_of(bytes), diagnostics)) {
      elf->relative_words(diagnostics);
    }
    const std::string first = diagnostics.first();
    return first.substr(0, first.find(" ("));
  };
  EXPECT_EQ(problem("relr-bits-first"), "relative words without a first address");
  EXPECT_EQ(problem("relr-far"), "a relative word outside the segments");
  EXPECT_EQ(problem("bucket-below"), "a bucket of symbols without hashes");
  EXPECT_EQ(problem("bucket-far"), "a bucket of symbols without an end");
  EXPECT_EQ(problem("odd-filter"), "a table of GNU hashes outside the file");
  EXPECT_EQ(problem("need-circle"), "needed versions outside the file");
  EXPECT_EQ(problem("entry-far"), "needed versions outside the file");
  EXPECT_EQ(problem("definition-far"), "definitions of versions outside the file");
  EXPECT_EQ(problem("version-unknown"), "a symbol of a version that isn't there");
  EXPECT_EQ(problem("no-end"), "a dynamic section without an end");
  EXPECT_EQ(problem("cut"), "a segment outside the file");
}

TEST(ElfFile, ACircleOfHashesEnds) {
  const std::string bytes = seed("hash-circle");
  Diagnostics diagnostics;
  const auto elf = ElfFile::read(bytes_of(bytes), diagnostics);
  ASSERT_TRUE(elf.has_value()) << diagnostics.first();
  EXPECT_FALSE(elf->find(Wanted("no_such_name", nullptr, true)).has_value());
}

TEST(MappedFile, SaysWhyAFileIsNotMapped) {
  EXPECT_EQ(MappedFile::open("/no/such/file").error().code, ENOENT);
  EXPECT_EQ(MappedFile::open("/usr").error().code, EINVAL);
  const auto empty = MappedFile::open("/proc/self/cmdline");
  ASSERT_TRUE(empty.has_value());
  EXPECT_TRUE(empty->bytes().empty());
}

}  // namespace
}  // namespace prewarm::image

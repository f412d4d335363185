// SPDX-License-Identifier: MIT
//
// The executor runs beside the threads of its caller, in their memory: what its object files need
// from outside, and what they could write to, is an exact list.
#include <cxxabi.h>
#include <elf.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "os/testing.h"

namespace prewarm::cold {
namespace {

using Names = std::set<std::string>;

// A relocatable object file.
class ObjectFile {
 public:
  explicit ObjectFile(const std::string& path) : bytes_(os::read_file(path)) {
    Elf64_Ehdr header{};
    if (bytes_.size() < sizeof header) return;
    std::memcpy(&header, bytes_.data(), sizeof header);
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_type != ET_REL) return;
    sections_ = os::read_row<Elf64_Shdr>(bytes_, header.e_shoff, header.e_shnum);
    if (header.e_shstrndx < sections_.size()) {
      names_ = bytes_.data() + sections_[header.e_shstrndx].sh_offset;
    }
    for (const Elf64_Shdr& section : sections_) {
      if (section.sh_type != SHT_SYMTAB) continue;
      strings_ = bytes_.data() + sections_.at(section.sh_link).sh_offset;
      symbols_ =
          os::read_row<Elf64_Sym>(bytes_, section.sh_offset, section.sh_size / sizeof(Elf64_Sym));
    }
  }

  bool valid() const { return symbols_.size() > 1 && names_ != nullptr; }

  Names symbols(bool defined) const {
    Names names;
    for (const Elf64_Sym& symbol : symbols_) {
      if (ELF64_ST_BIND(symbol.st_info) == STB_LOCAL) continue;
      if ((symbol.st_shndx != SHN_UNDEF) == defined) names.insert(strings_ + symbol.st_name);
    }
    return names;
  }
  // Sections that are memory of the program, can be written and hold something.
  Names writable() const {
    Names names;
    for (const Elf64_Shdr& section : sections_) {
      constexpr auto kBoth = SHF_ALLOC | SHF_WRITE;
      const bool is_data = (section.sh_flags & kBoth) == kBoth && section.sh_size != 0;
      if (is_data) names.insert(names_ + section.sh_name);
    }
    return names;
  }

 private:
  std::string bytes_;
  std::vector<Elf64_Shdr> sections_;
  std::vector<Elf64_Sym> symbols_;
  const char* names_ = nullptr;
  const char* strings_ = nullptr;
};

class ExecutorFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::istringstream paths(PREWARM_TEST_EXECUTOR);
    for (std::string path; std::getline(paths, path, '|');) {
      files_.emplace_back(path);
      ASSERT_TRUE(files_.back().valid()) << path;
    }
    ASSERT_GE(files_.size(), 4U);
  }

  Names all(bool defined) const {
    Names names;
    for (const ObjectFile& file : files_) names.merge(file.symbols(defined));
    return names;
  }

  std::vector<ObjectFile> files_;
};

TEST_F(ExecutorFiles, NeedNothingFromOutside) {
  Names needed = all(false);
  for (const std::string& name : all(true)) needed.erase(name);
  // The linker's own: how position-independent code says where the task's first function is.
  EXPECT_EQ(needed, Names{"_GLOBAL_OFFSET_TABLE_"});
}

// Nothing but this may be called from elsewhere: who adds a way into them thinks of what they are.
TEST_F(ExecutorFiles, ShowTheseFunctionsOnly) {
  Names functions;
  for (const std::string& name : all(true)) {
    char* plain = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, nullptr);
    const std::string text = plain == nullptr ? name : plain;
    std::free(plain);
    functions.insert(text.substr(0, text.find('(')));
  }
  EXPECT_EQ(functions,
            (Names{"prewarm::cold::clone3_task", "prewarm::cold::clone_task",
                   "prewarm::cold::executor::close_range", "prewarm::cold::executor::duplicate",
                   "prewarm::cold::executor::execute", "prewarm::cold::executor::keep_only",
                   "prewarm::cold::executor::open_at", "prewarm::cold::executor::write_file",
                   "prewarm::cold::libc::perform", "prewarm::cold::run_chain"}));
}

// Thread-local data would be the caller's, and statics everybody's.
TEST_F(ExecutorFiles, HaveNothingThatCanBeWritten) {
  for (const ObjectFile& file : files_) EXPECT_EQ(file.writable(), Names{});
}

}  // namespace
}  // namespace prewarm::cold

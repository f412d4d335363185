// SPDX-License-Identifier: MIT
//
// The agent runs inside other people's programs, before their main: what it may need from them and
// what it shows them is an exact list.
#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "os/testing.h"

namespace prewarm::park {
namespace {

using Names = std::set<std::string>;

class AgentFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    bytes_ = os::read_file(PREWARM_TEST_AGENT);
    ASSERT_GT(bytes_.size(), sizeof header_) << PREWARM_TEST_AGENT;
    std::memcpy(&header_, bytes_.data(), sizeof header_);
    ASSERT_EQ(std::memcmp(header_.e_ident, ELFMAG, SELFMAG), 0);
    segments_ = os::read_row<Elf64_Phdr>(bytes_, header_.e_phoff, header_.e_phnum);
    sections_ = os::read_row<Elf64_Shdr>(bytes_, header_.e_shoff, header_.e_shnum);
    for (const auto& s : segments_) {
      if (s.p_type == PT_DYNAMIC)
        dynamic_ = os::read_row<Elf64_Dyn>(bytes_, s.p_offset, s.p_filesz / sizeof(Elf64_Dyn));
    }
    ASSERT_FALSE(dynamic_.empty());
  }

  // Names in the dynamic symbol table that are defined, or not.
  Names dynamic_symbols(bool defined) const {
    Names names;
    for (const auto& section : sections_) {
      if (section.sh_type != SHT_DYNSYM) continue;
      const char* strings = bytes_.data() + sections_.at(section.sh_link).sh_offset;
      for (const auto& symbol : os::read_row<Elf64_Sym>(bytes_, section.sh_offset,
                                                        section.sh_size / sizeof(Elf64_Sym))) {
        const std::string name = strings + symbol.st_name;
        if (!name.empty() && (symbol.st_shndx != SHN_UNDEF) == defined) names.insert(name);
      }
    }
    return names;
  }

  const Elf64_Phdr* segment(std::uint32_t type) const {
    for (const auto& s : segments_) {
      if (s.p_type == type) return &s;
    }
    return nullptr;
  }

  bool has_dynamic(std::int64_t tag) const {
    for (const auto& d : dynamic_) {
      if (d.d_tag == tag) return true;
    }
    return false;
  }
  std::uint64_t dynamic_value(std::int64_t tag) const {
    for (const auto& d : dynamic_) {
      if (d.d_tag == tag) return d.d_un.d_val;
    }
    return 0;
  }

  std::string bytes_;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> segments_;
  std::vector<Elf64_Shdr> sections_;
  std::vector<Elf64_Dyn> dynamic_;
};

TEST_F(AgentFileTest, NeedsTheseSymbolsOfItsHostOnly) {
  EXPECT_EQ(dynamic_symbols(false),
            (Names{"__errno_location", "dl_iterate_phdr", "dlerror", "dlsym", "dlvsym", "environ",
                   "newlocale", "program_invocation_name", "program_invocation_short_name",
                   "strerror_l"}));
}

TEST_F(AgentFileTest, ShowsTheseSymbolsOnly) {
  EXPECT_EQ(dynamic_symbols(true), (Names{"__libc_start_main", "__register_atfork", "getenv",
                                          "prewarm_ready", "secure_getenv"}));
}

// No version is asked for either, so it fits every glibc.
TEST_F(AgentFileTest, NeedsNoLibrary) {
  EXPECT_FALSE(has_dynamic(DT_NEEDED));
  EXPECT_FALSE(has_dynamic(DT_VERNEED));
  EXPECT_FALSE(has_dynamic(DT_RPATH));
  EXPECT_FALSE(has_dynamic(DT_RUNPATH));
}

// One function, and that before everybody else's: it begins to watch.
TEST_F(AgentFileTest, RunsOneFunctionWhenItIsLoadedBeforeAllOthers) {
  for (const std::int64_t tag : {DT_INIT, DT_FINI, DT_FINI_ARRAY, DT_PREINIT_ARRAY}) {
    EXPECT_FALSE(has_dynamic(tag)) << tag;
  }
  EXPECT_EQ(dynamic_value(DT_INIT_ARRAYSZ), sizeof(void (*)()));
  EXPECT_NE(dynamic_value(DT_FLAGS_1) & DF_1_INITFIRST, 0U);
}

// A thread-local variable would change the layout of the host's static TLS block.
TEST_F(AgentFileTest, HasNoThreadLocalStorage) { EXPECT_EQ(segment(PT_TLS), nullptr); }

TEST_F(AgentFileTest, MakesNothingExecutableThatCanBeWritten) {
  const Elf64_Phdr* stack = segment(PT_GNU_STACK);
  ASSERT_NE(stack, nullptr) << "without it the host's stack becomes executable";
  EXPECT_EQ(stack->p_flags & PF_X, 0U);
  for (const auto& s : segments_) {
    EXPECT_FALSE(s.p_type == PT_LOAD && (s.p_flags & PF_W) != 0 && (s.p_flags & PF_X) != 0);
  }
  EXPECT_FALSE(has_dynamic(DT_TEXTREL));
  EXPECT_NE(segment(PT_GNU_RELRO), nullptr);
}

TEST_F(AgentFileTest, IsBoundWhenItIsLoaded) {
  EXPECT_NE(dynamic_value(DT_FLAGS) & DF_BIND_NOW, 0U);
  EXPECT_NE(dynamic_value(DT_FLAGS_1) & DF_1_NOW, 0U);
}

}  // namespace
}  // namespace prewarm::park

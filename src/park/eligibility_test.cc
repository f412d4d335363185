// SPDX-License-Identifier: MIT
#include "park/eligibility.h"

#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "image/audit_variable.h"
#include "launch/testing.h"
#include "os/testing.h"

namespace prewarm::park {
namespace {

using launch::Reason;

constexpr char kProgram[] = "/usr/bin/true";

Reason reason_for(const std::string& path, const char* more = "") {
  return check_program(path.c_str(), more).reason;
}

// Programs in a directory of their own, which is declared to hold installed software.
class EligibilityTest : public ::testing::Test {
 protected:
  Reason check(const std::string& name) const {
    return reason_for(temp_ / name, temp_.path().c_str());
  }
  std::string put(const std::string& name, const std::string& bytes, mode_t mode = 0755) const {
    os::write_file(temp_ / name, bytes);
    EXPECT_EQ(::chmod((temp_ / name).c_str(), mode), 0);
    return temp_ / name;
  }
  static std::string program() { return os::read_file(kProgram); }

  // What is said of a program whose ELF header was changed.
  Reason check_header(const std::function<void(Elf64_Ehdr&)>& change) const {
    std::string bytes = program();
    change(*reinterpret_cast<Elf64_Ehdr*>(bytes.data()));
    put("changed", bytes);
    return check("changed");
  }
  // The same for its program headers of `type`.
  Reason check_segments(std::uint32_t type,
                        const std::function<void(Elf64_Phdr&, std::string&)>& change) const {
    std::string bytes = program();
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      Elf64_Phdr segment;
      char* at = bytes.data() + header.e_phoff + i * sizeof segment;
      std::memcpy(&segment, at, sizeof segment);
      if (segment.p_type != type) continue;
      change(segment, bytes);
      std::memcpy(at, &segment, sizeof segment);
    }
    put("changed", bytes);
    return check("changed");
  }

  const os::TempDirectory temp_;
};

// ---- Directories -------------------------------------------------------------------------------

TEST(EligibilityOfDirectoriesTest, SystemProgramsMayBeParked) {
  for (const char* path : {"/usr/bin/true", "/usr/bin/cat", "/usr/bin/printf", "/usr/bin/env",
                           "/bin/sh", "/usr/bin/sort"}) {
    const Eligibility e = check_program(path, "");
    EXPECT_EQ(e.reason, Reason::none) << path << ": " << launch::reason_name(e.reason);
    EXPECT_EQ(e.isolation, Isolation::clone) << path;
  }
  EXPECT_EQ(reason_for(kProgram, nullptr), Reason::none);
}

// Nothing is there, so that not_found tells that the directory was accepted.
TEST(EligibilityOfDirectoriesTest, ADirectoryIsAWholeName) {
  EXPECT_EQ(reason_for("/opt/nonexistent"), Reason::not_found);
  EXPECT_EQ(reason_for("/opt/tool/bin/nonexistent"), Reason::not_found);
  EXPECT_EQ(reason_for("/optional/nonexistent"), Reason::untrusted_directory);
  EXPECT_EQ(reason_for("/usr/binary/nonexistent"), Reason::untrusted_directory);
  EXPECT_EQ(reason_for("/usr/share/nonexistent"), Reason::untrusted_directory);
  EXPECT_EQ(reason_for("/home/me/bin/nonexistent"), Reason::untrusted_directory);
}

TEST(EligibilityOfDirectoriesTest, MoreDirectoriesAreWholeNames) {
  for (const char* more : {"/srv/app", "/srv/app/", "/x:/srv/app", "/srv/app:/x", "::/srv/app:"}) {
    EXPECT_EQ(reason_for("/srv/app/nonexistent", more), Reason::not_found) << more;
    EXPECT_EQ(reason_for("/srv/app/bin/nonexistent", more), Reason::not_found) << more;
    EXPECT_EQ(reason_for("/srv/application/nonexistent", more), Reason::untrusted_directory);
    EXPECT_EQ(reason_for("/srv/nonexistent", more), Reason::untrusted_directory) << more;
  }
  EXPECT_EQ(reason_for("/srv/app/nonexistent", ":"), Reason::untrusted_directory);
  EXPECT_EQ(reason_for("/srv/app/nonexistent", "/"), Reason::not_found) << "everything";
}

TEST(EligibilityOfDirectoriesTest, AWayOutOfADirectoryIsNotInIt) {
  EXPECT_EQ(reason_for("/opt/../home/me/nonexistent"), Reason::untrusted_directory);
  EXPECT_EQ(reason_for("/usr/bin/../../home/me/nonexistent"), Reason::untrusted_directory);
}

TEST(EligibilityOfDirectoriesTest, ARelativePathIsNowhere) {
  EXPECT_EQ(reason_for("true"), Reason::untrusted_directory);
  EXPECT_EQ(reason_for("./true", "./"), Reason::untrusted_directory);
  EXPECT_EQ(reason_for(""), Reason::untrusted_directory);
}

TEST(EligibilityOfDirectoriesTest, DeniedProgramsAreDeniedEverywhere) {
  for (const char* name : {"reboot", "sudo", "su", "systemctl", "login"}) {
    EXPECT_EQ(reason_for(std::string("/usr/bin/") + name), Reason::denied) << name;
    EXPECT_EQ(reason_for(std::string("/srv/app/") + name, "/srv/app"), Reason::denied) << name;
  }
  EXPECT_EQ(reason_for("/opt/reboot-later"), Reason::not_found) << "another name";
}

// ---- Files -------------------------------------------------------------------------------------

TEST_F(EligibilityTest, ACopyInADeclaredDirectoryMayBeParked) {
  put("copy", program());
  EXPECT_EQ(check("copy"), Reason::none);
}

TEST_F(EligibilityTest, ProgramsThatHandleKeysAreIsolated) {
  put("ssh", program());
  const Eligibility e = check_program((temp_ / "ssh").c_str(), temp_.path().c_str());
  EXPECT_EQ(e.reason, Reason::none);
  EXPECT_EQ(e.isolation, Isolation::exec);
}

TEST_F(EligibilityTest, WhatIsNotThereIsNotFound) {
  EXPECT_EQ(check("nonexistent"), Reason::not_found);
  EXPECT_EQ(check("nonexistent/below"), Reason::not_found);
}

TEST_F(EligibilityTest, WhatIsNoRegularFileIsNotAFile) {
  EXPECT_EQ(check("."), Reason::not_a_file);
  ASSERT_EQ(::mkfifo((temp_ / "fifo").c_str(), 0755), 0);
  EXPECT_EQ(check("fifo"), Reason::not_a_file);
}

TEST_F(EligibilityTest, WhatCannotBeExecutedIsNotAFile) {
  put("data", program(), 0644);
  EXPECT_EQ(check("data"), Reason::not_a_file);
}

TEST_F(EligibilityTest, WhatCannotBeReadIsUnreadable) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  put("secret", program(), 0111);
  EXPECT_EQ(check("secret"), Reason::unreadable);
}

TEST_F(EligibilityTest, ProgramsWithPrivilegesAreRefused) {
  put("setuid", program(), 04755);
  EXPECT_EQ(check("setuid"), Reason::set_id);
  put("setgid", program(), 02755);
  EXPECT_EQ(check("setgid"), Reason::set_id);
}

TEST_F(EligibilityTest, ProgramsWithFileCapabilitiesAreRefused) {
  const std::string path = put("capable", program());
  // struct vfs_cap_data, revision 2: cap_net_raw permitted.
  const std::uint32_t data[5] = {0x02000000, 1U << 13, 0, 0, 0};
  if (::setxattr(path.c_str(), "security.capability", data, sizeof data, 0) != 0) {
    GTEST_SKIP() << "can't set capabilities here: " << std::strerror(errno);
  }
  EXPECT_EQ(check("capable"), Reason::set_id);
}

// ---- Formats -----------------------------------------------------------------------------------

TEST_F(EligibilityTest, WhatIsNotElfIsRefused) {
  put("script", "#!/bin/sh\nexit 0\n");
  EXPECT_EQ(check("script"), Reason::not_elf);
  put("garbage", std::string(100000, '\x7f'));
  EXPECT_EQ(check("garbage"), Reason::not_elf);
  put("magic",
      "\x7f"
      "ELF");
  EXPECT_EQ(check("magic"), Reason::not_elf);
  put("empty", "");
  EXPECT_NE(check("empty"), Reason::none);
}

TEST_F(EligibilityTest, ATruncatedProgramIsRefusedWhereverItEnds) {
  const std::string whole = program();
  Elf64_Ehdr header;
  std::memcpy(&header, whole.data(), sizeof header);
  const std::size_t headers = header.e_phoff + header.e_phnum * sizeof(Elf64_Phdr);
  for (std::size_t size = 0; size <= headers; ++size) {
    put("part", whole.substr(0, size));
    EXPECT_NE(check("part"), Reason::none) << size;
  }
}

TEST_F(EligibilityTest, AProgramForAnotherMachineIsRefused) {
  EXPECT_EQ(check_header([](Elf64_Ehdr& h) { h.e_ident[EI_CLASS] = ELFCLASS32; }),
            Reason::wrong_machine);
  EXPECT_EQ(check_header([](Elf64_Ehdr& h) { h.e_machine = EM_386; }), Reason::wrong_machine);
  EXPECT_EQ(check_header([](Elf64_Ehdr& h) { h.e_machine = EM_RISCV; }), Reason::wrong_machine);
}

TEST_F(EligibilityTest, HeadersThatLeadOutsideAreRefused) {
  EXPECT_NE(check_header([](Elf64_Ehdr& h) { h.e_phoff = ~std::uint64_t{0}; }), Reason::none);
  EXPECT_NE(check_header([](Elf64_Ehdr& h) { h.e_phoff = ~std::uint64_t{0} - 55; }), Reason::none);
  EXPECT_NE(check_header([](Elf64_Ehdr& h) { h.e_phnum = 0xffff; }), Reason::none);
  EXPECT_NE(check_header([](Elf64_Ehdr& h) { h.e_phnum = 0; }), Reason::none);
  EXPECT_NE(check_header([](Elf64_Ehdr& h) { h.e_phentsize = 1; }), Reason::none);
  EXPECT_NE(check_segments(PT_INTERP, [](auto& s, auto&) { s.p_offset = ~std::uint64_t{0}; }),
            Reason::none);
  EXPECT_NE(check_segments(PT_INTERP, [](auto& s, auto&) { s.p_filesz = ~std::uint64_t{0}; }),
            Reason::none);
  EXPECT_NE(check_segments(PT_LOAD, [](auto& s, auto&) { s.p_offset += ~std::uint64_t{0} / 2; }),
            Reason::none);
}

TEST_F(EligibilityTest, AProgramWithoutInterpreterIsStatic) {
  EXPECT_EQ(check_segments(PT_INTERP, [](auto& s, auto&) { s.p_type = PT_NULL; }),
            Reason::static_program);
}

TEST_F(EligibilityTest, AProgramOfAnotherLibcIsRefused) {
  EXPECT_EQ(check_segments(PT_INTERP,
                           [](auto& s, std::string& bytes) {
                             const std::string musl = "/lib/ld-musl-x86_64.so.1";
                             bytes.replace(s.p_offset, musl.size() + 1, musl + '\0');
                           }),
            Reason::foreign_libc);
  EXPECT_EQ(check_segments(PT_INTERP, [](auto& s, auto&) { s.p_filesz = 0; }),
            Reason::foreign_libc);
}

// The agent holds a program where glibc's start-up code calls it; another would simply run.
TEST_F(EligibilityTest, AnEntryThatIsNotGlibcsIsRefused) {
  EXPECT_EQ(check_header([](Elf64_Ehdr& h) { h.e_entry += 1; }), Reason::unusual_entry);
  EXPECT_EQ(check_header([](Elf64_Ehdr& h) { h.e_entry = 0; }), Reason::unusual_entry);
  EXPECT_EQ(check_header([](Elf64_Ehdr& h) { h.e_entry = ~std::uint64_t{0}; }),
            Reason::unusual_entry);
}

// The agent takes the place of the one that ld.so would find.
TEST_F(EligibilityTest, AProgramWithAStartOfItsOwnIsRefused) {
  const std::string name = "__libc_start_main";
  std::string bytes = program();
  const auto at = bytes.find(name + '\0');
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 'X';
  put("without", bytes);
  EXPECT_EQ(check("without"), Reason::unusual_entry);
}

// ---- What else a file tells -------------------------------------------------------------------

class SearchPathTest : public EligibilityTest {
 protected:
  // The program with a search path. Its text takes the place of names that nobody reads here.
  Eligibility with_search_path(const std::string& text, std::int64_t tag = DT_RUNPATH) const {
    check_segments(PT_DYNAMIC, [&](const Elf64_Phdr& segment, std::string& bytes) {
      for (Elf64_Off at = segment.p_offset;; at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn d;
        std::memcpy(&d, bytes.data() + at, sizeof d);
        if (d.d_tag == DT_NULL) return;
        // The first segment, where the names are, lies in the file as it does in memory.
        if (d.d_tag == DT_STRTAB) bytes.replace(d.d_un.d_ptr + 1, text.size() + 1, text + '\0');
        if (d.d_tag != DT_DEBUG) continue;
        d.d_tag = tag;
        d.d_un.d_val = 1;
        std::memcpy(bytes.data() + at, &d, sizeof d);
      }
    });
    return check_program((temp_ / "changed").c_str(), temp_.path().c_str());
  }
};

TEST_F(SearchPathTest, DirectoriesOfItsOwnAreNamed) {
  const std::string origin = std::filesystem::canonical(temp_.path()).string();
  for (const std::int64_t tag : {DT_RUNPATH, DT_RPATH}) {
    const Eligibility e = with_search_path("$ORIGIN/../lib:/opt/x/lib:${ORIGIN}", tag);
    EXPECT_EQ(e.reason, Reason::none);
    EXPECT_EQ(e.search_directories,
              (std::vector<std::string>{origin + "/../lib", "/opt/x/lib", origin}));
  }
  EXPECT_TRUE(has_own_search_path((temp_ / "changed").c_str()));
}

TEST_F(SearchPathTest, WhatItDoesNotHaveIsNotNamed) {
  const std::string plain = put("plain", program());
  EXPECT_TRUE(check_program(plain.c_str(), temp_.path().c_str()).search_directories.empty());
  EXPECT_FALSE(has_own_search_path(plain.c_str()));
  EXPECT_TRUE(has_own_search_path((temp_ / "nonexistent").c_str())) << "nobody can tell";
  EXPECT_TRUE(has_own_search_path(temp_.path().c_str()));
}

// The working directory (ld.so takes an empty name for it), and what depends on the processor.
TEST_F(SearchPathTest, DirectoriesThatCannotBeNamedAreRefused) {
  for (const char* path : {"lib", "/opt/lib:lib", "/opt/$LIB", "/opt/${PLATFORM}/x", ":/opt/lib",
                           "/opt/lib::/opt/x", "/opt/lib:"}) {
    EXPECT_EQ(with_search_path(path).reason, Reason::own_search_path) << path;
  }
}

TEST_F(EligibilityTest, AProgramThatCouldLearnItsParentIsKnown) {
  const auto asks = [&](const std::string& bytes) {
    return check_program(put("copy", bytes).c_str(), temp_.path().c_str()).asks_parent;
  };
  using namespace std::string_literals;
  EXPECT_FALSE(asks(program()));
  EXPECT_FALSE(asks(program() + "/proc/self/fd/%d\0/proc/cpuinfo\0"s));
  EXPECT_TRUE(asks(program() + "/proc/self/fd/%d\0/proc/self/stat\0"s));
  EXPECT_TRUE(asks(program() + "/proc/%d/x\0"s));
  EXPECT_TRUE(asks(program() + "/proc/"s)) << "whatever comes behind it";
  EXPECT_TRUE(check_program("/bin/dash", "").asks_parent) << "$PPID";
}

// ---- Identity ----------------------------------------------------------------------------------

TEST_F(EligibilityTest, IdentityIsThatOfTheFile) {
  const std::string path = put("copy", program());
  os::FileIdentity identity;
  ASSERT_TRUE(identify_file(path.c_str(), identity));
  EXPECT_EQ(check_program(path.c_str(), temp_.path().c_str()).identity, identity);
  EXPECT_EQ(identity.size, program().size());
  os::FileIdentity through_link;
  ASSERT_EQ(::symlink(path.c_str(), (temp_ / "link").c_str()), 0);
  ASSERT_TRUE(identify_file((temp_ / "link").c_str(), through_link));
  EXPECT_EQ(through_link, identity);
  EXPECT_FALSE(identify_file((temp_ / "nonexistent").c_str(), identity));
}

TEST_F(EligibilityTest, IdentityChangesWithTheFile) {
  const std::string path = put("copy", program());
  os::FileIdentity before;
  os::FileIdentity after;
  ASSERT_TRUE(identify_file(path.c_str(), before));
  put("other", program());
  ASSERT_EQ(::rename((temp_ / "other").c_str(), path.c_str()), 0);
  ASSERT_TRUE(identify_file(path.c_str(), after));
  EXPECT_NE(after, before) << "another file under the same name";
  // Written in place, with its size and modification time as they were.
  before = after;
  struct stat s{};
  ASSERT_EQ(::stat(path.c_str(), &s), 0);
  std::string bytes = program();
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  // The clock that times are taken from goes in ticks: until it has gone on.
  const std::int64_t changed_ns = before.changed_ns;
  for (int i = 0; i < 1000000 && after.changed_ns == changed_ns; ++i) {
    os::write_file(path, bytes);
    const timespec times[2] = {s.st_atim, s.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    ASSERT_TRUE(identify_file(path.c_str(), after));
  }
  EXPECT_EQ(after.modified_ns, before.modified_ns);
  EXPECT_EQ(after.size, before.size);
  EXPECT_NE(after, before);
}

// ---- Environment -------------------------------------------------------------------------------

bool loader_variables_in(std::vector<std::string> env) {
  return image::has_loader_variables(launch::pointers_to(env).data());
}

TEST(HasLoaderVariablesTest, FindsWhatChangesHowProgramsStart) {
  for (const char* v :
       {"LD_PRELOAD=x", "LD_LIBRARY_PATH=", "LD_AUDIT=a", "LD_BIND_NOW=1", "MALLOC_ARENA_MAX=1",
        "MALLOC_PERTURB_=3", "GLIBC_TUNABLES=glibc.malloc.check=1"}) {
    EXPECT_TRUE(loader_variables_in({v})) << v;
    EXPECT_TRUE(loader_variables_in({"PATH=/bin", v, "HOME=/"})) << v;
  }
}

TEST(HasLoaderVariablesTest, LeavesOthersAlone) {
  EXPECT_FALSE(loader_variables_in({}));
  EXPECT_FALSE(loader_variables_in({"PATH=/bin", "LDFLAGS=-L.", "OLD_PATH=LD_PRELOAD=x", "L", "LD",
                                    "", "MALLOC=", "MALLOCX_=", "M", "GLIBC=", "G",
                                    "GLIBC_TUNABLES_X=1", "XLD_PRELOAD=1"}));
}

}  // namespace
}  // namespace prewarm::park

// SPDX-License-Identifier: MIT
//
// libprewarm-spawn.so as a file: what it offers under which version, and that it hands on what it
// doesn't understand. Whole programs with it are in test/posix-spawn.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include "cold/testing/posix_spawn.h"

namespace prewarm::cold {
namespace {

class PreloadTest : public os::LeavesNothing {
 protected:
  void SetUp() override {
    library_ = ::dlopen(PREWARM_TEST_SPAWN_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library_, nullptr) << ::dlerror();
  }
  void TearDown() override { ::dlclose(library_); }

  using Function = decltype(&::posix_spawn);
  // Null unless the library itself has it: dlvsym looks into libc, too.
  Function find(const char* name, const char* version) {
    void* const found = ::dlvsym(library_, name, version);
    Dl_info where{};
    if (found == nullptr || ::dladdr(found, &where) == 0) return nullptr;
    return std::string(where.dli_fname).ends_with("/libprewarm-spawn.so")
               ? reinterpret_cast<Function>(found)
               : nullptr;
  }
  int start(Function function, const std::string& file, const Objects& objects) {
    const Strings argv{"name"};
    pid_t pid = kUntouched;
    const int error =
        function(&pid, file.c_str(), &objects.actions, &objects.attributes, argv.get(), nullptr);
    return error != 0 ? -error : WEXITSTATUS(os::wait_for(pid));
  }

  void* library_ = nullptr;
  os::TempDirectory directory_;
};

TEST_F(PreloadTest, OldProgramsGetScriptsRun) {
  const std::string script = directory_ / "script";
  os::write_file(script, "exit 9\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  for (const char* name : {"posix_spawn", "posix_spawnp"}) {
    const Function now = find(name, "GLIBC_2.15");
    const Function then = find(name, "GLIBC_2.2.5");
    ASSERT_NE(now, nullptr);
    ASSERT_NE(then, nullptr);
    EXPECT_EQ(start(now, script, {}), -ENOEXEC);
    EXPECT_EQ(start(then, script, {}), 9);
  }
}

TEST_F(PreloadTest, OnlyTheSecondSearches) {
  EXPECT_EQ(start(find("posix_spawn", "GLIBC_2.15"), "true", {}), -ENOENT);
  EXPECT_EQ(start(find("posix_spawnp", "GLIBC_2.15"), "true", {}), 0);
  EXPECT_EQ(start(find("posix_spawn", "GLIBC_2.2.5"), "true", {}), -ENOENT);
  EXPECT_EQ(start(find("posix_spawnp", "GLIBC_2.2.5"), "true", {}), 0);
}

// glibc ignores a flag that it doesn't know.
TEST_F(PreloadTest, TheCLibraryGetsWhatIsNotUnderstood) {
  Objects objects;
  objects.attributes.__flags = 0x2000;
  EXPECT_EQ(start(find("posix_spawn", "GLIBC_2.15"), "/bin/true", objects), 0);
  EXPECT_EQ(start(find("posix_spawnp", "GLIBC_2.15"), "true", objects), 0);
  EXPECT_EQ(start(find("posix_spawnp", "GLIBC_2.2.5"), "false", objects), 1);
}

TEST_F(PreloadTest, ShowsNothingElse) {
  EXPECT_EQ(::dlsym(library_, "prewarm_posix_spawn"), nullptr);
  EXPECT_EQ(::dlsym(library_, "spawn_2_15"), nullptr);
}

}  // namespace
}  // namespace prewarm::cold

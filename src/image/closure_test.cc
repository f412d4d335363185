// SPDX-License-Identifier: MIT
#include "image/closure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "image/library_case.h"
#include "image/mapped_file.h"
#include "os/testing.h"
#include "prewarm/command.h"

namespace prewarm::image {
namespace {

constexpr char kLoader[] = "/lib64/ld-linux-x86-64.so.2";

// "name => path" as ld.so prints it, without addresses; "name => not found".
using Trace = std::vector<std::string>;

// What ld.so itself says that it loads. The vDSO, which isn't a file, is left out.
Trace traced(const std::string& program, const std::string& library_path,
             const std::string& directory = "/") {
  Command command(program);
  command.clear_env().env("LD_TRACE_LOADED_OBJECTS", "1").directory(directory);
  if (!library_path.empty()) command.env("LD_LIBRARY_PATH", library_path);
  const auto output = command.in(Stdio::null()).err(Stdio::null()).capture();
  if (!output) return {"not started: " + output.error().message()};
  Trace result;
  std::string_view text = output->out;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with('\t')) line.remove_prefix(1);
    if (const auto address = line.rfind(" (0x"); address != std::string_view::npos) {
      line = line.substr(0, address);
    }
    if (line != "linux-vdso.so.1") result.emplace_back(line);
  }
  return result;
}

// The same of a closure.
Trace trace_of(const Closure& closure) {
  Trace result;
  for (std::size_t i = 1; i < closure.objects.size(); ++i) {
    const ClosureObject& object = closure.objects[i];
    // The linker is known by its path first.
    const bool same = object.name == object.path || object.found_by == FoundBy::loader;
    result.push_back(same ? object.path : object.name + " => " + object.path);
  }
  return result;
}

const LoaderFacts& facts() {
  static const LoaderFacts result = [] {
    auto asked = ask_loader(kLoader);
    EXPECT_TRUE(asked.has_value());
    return asked ? *asked : LoaderFacts{};
  }();
  return result;
}

const LibraryCache* cache() {
  static const auto file = MappedFile::open(kLibraryCachePath);
  static const auto result = [] {
    Diagnostics diagnostics;
    return file ? LibraryCache::read(file->bytes(), facts(), diagnostics) : std::nullopt;
  }();
  return result ? &*result : nullptr;
}

os::Result<Closure> resolve(const std::string& program, const std::string& library_path = "") {
  return resolve_closure({program, library_path, &facts(), cache()});
}

bool is_dynamic_program(const std::filesystem::directory_entry& entry) {
  if (!entry.is_regular_file() || entry.is_symlink()) return false;
  // ld.so in secure mode says nothing.
  const auto set_id = std::filesystem::perms::set_uid | std::filesystem::perms::set_gid;
  if ((entry.status().permissions() & set_id) != std::filesystem::perms::none) return false;
  const auto file = MappedFile::open(entry.path().c_str());
  if (!file || ElfFile::kind_of(file->bytes()) != Kind::elf) return false;
  Diagnostics diagnostics;
  const auto elf = ElfFile::read(file->bytes(), diagnostics);
  return elf && elf->interpreter() == kLoader;
}

TEST(Closure, AgreesWithTheDynamicLinkerAboutProgramsOfTheSystem) {
  std::vector<std::string> programs;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/bin")) {
    if (is_dynamic_program(entry)) programs.push_back(entry.path());
  }
  std::sort(programs.begin(), programs.end());
  std::vector<std::string> chosen;
  for (const char* name : {"gdb", "curl", "python3.11", "git", "perl", "x86_64-linux-gnu-gcc-12"}) {
    const std::string path = std::string("/usr/bin/") + name;
    if (std::binary_search(programs.begin(), programs.end(), path)) chosen.push_back(path);
  }
  const std::size_t step = std::max<std::size_t>(1, programs.size() / 120);
  for (std::size_t i = 0; i < programs.size(); i += step) chosen.push_back(programs[i]);
  EXPECT_GT(chosen.size(), 30U);
  for (const std::string& program : chosen) {
    const auto closure = resolve(program);
    ASSERT_TRUE(closure.has_value()) << program << ": " << closure.error().message();
    EXPECT_EQ(trace_of(*closure), traced(program, "")) << program;
    EXPECT_FALSE(closure->needs_working_directory) << program;
  }
}

// ---- Generated cases
// -----------------------------------------------------------------------------

class ClosureCase : public LibraryCase {
 protected:
  // Resolves, and compares with what ld.so says, both from the directory of the case.
  Closure check(const std::string& path, const std::string& library_path = "") const {
    const std::string before = std::filesystem::current_path();
    std::filesystem::current_path(directory());
    auto closure = resolve(at(path), library_path);
    std::filesystem::current_path(before);
    EXPECT_TRUE(closure.has_value()) << closure.error().message();
    if (!closure) return Closure();
    Trace ours = trace_of(*closure);
    // ld.so puts what it couldn't find in its place in the order; compared without.
    Trace theirs = traced(at(path), library_path, directory());
    Trace missing;
    std::erase_if(theirs, [&](const std::string& line) {
      if (!line.ends_with(" => not found")) return false;
      missing.push_back(line.substr(0, line.find(" => ")));
      return true;
    });
    EXPECT_EQ(ours, theirs);
    Trace our_missing;
    for (const MissingLibrary& m : closure->missing) our_missing.push_back(m.name);
    EXPECT_EQ(our_missing, missing);
    return std::move(*closure);
  }
  static const ClosureObject* object(const Closure& closure, const std::string& name) {
    for (const ClosureObject& o : closure.objects) {
      if (o.name == name) return &o;
    }
    ADD_FAILURE() << "no " << name;
    return &closure.objects.front();
  }
  static bool was_absent(const Closure& closure, const std::string& directory,
                         const std::string& name) {
    for (const LookedIn& looked : closure.looked_in) {
      if (looked.path == directory) {
        return !looked.exists ||
               std::binary_search(looked.absent.begin(), looked.absent.end(), name);
      }
    }
    return false;
  }
};

TEST_F(ClosureCase, RpathIsInheritedAndRunpathIsNot) {
  library("deep/libdeep.so", {"-Wl,-soname,libdeep.so"});
  library("lib/libmiddle.so", {"-Wl,-soname,libmiddle.so", at("deep/libdeep.so")});
  const std::string both = "$ORIGIN/lib:$ORIGIN/deep";
  program("by_rpath", {at("lib/libmiddle.so"), rpath(both)});
  program("by_runpath", {at("lib/libmiddle.so"), runpath(both)});
  const Closure inherited = check("by_rpath");
  EXPECT_TRUE(inherited.missing.empty());
  EXPECT_EQ(object(inherited, "libdeep.so")->found_by, FoundBy::rpath);
  EXPECT_EQ(inherited.objects[object(inherited, "libdeep.so")->needed_by].name, "libmiddle.so");
  const Closure own = check("by_runpath");
  ASSERT_EQ(own.missing.size(), 1U);
  EXPECT_EQ(own.missing[0].name, "libdeep.so");
  EXPECT_EQ(object(own, "libmiddle.so")->found_by, FoundBy::runpath);
  EXPECT_TRUE(was_absent(own, "/lib/x86_64-linux-gnu/", "libdeep.so"));
}

TEST_F(ClosureCase, TheRpathsOfAllLoadersCount) {
  library("deep/libdeep.so", {"-Wl,-soname,libdeep.so"});
  library("lib/liblow.so", {"-Wl,-soname,liblow.so", at("deep/libdeep.so")});
  library("lib/libhigh.so",
          {"-Wl,-soname,libhigh.so", at("lib/liblow.so"), rpath("$ORIGIN:$ORIGIN/../deep")});
  program("p", {at("lib/libhigh.so"), rpath("$ORIGIN/lib")});
  const Closure closure = check("p");
  EXPECT_EQ(object(closure, "libdeep.so")->path, at("lib/../deep/libdeep.so"));
}

TEST_F(ClosureCase, WhatIsMissingIsMissedByEachWhoNeedsIt) {
  library("gone/libx.so", {"-Wl,-soname,libx.so"});
  library("lib/liba.so", {"-Wl,-soname,liba.so", at("gone/libx.so")});
  program("p", {at("gone/libx.so"), at("lib/liba.so"), rpath("$ORIGIN/lib:$ORIGIN/gone")});
  std::filesystem::remove(at("gone/libx.so"));
  const Closure closure = check("p");
  ASSERT_EQ(closure.missing.size(), 2U);
  EXPECT_EQ(closure.missing[0].needed_by, 0U);
  EXPECT_EQ(closure.objects[closure.missing[1].needed_by].name, "liba.so");
  EXPECT_TRUE(was_absent(closure, at("gone/"), "libx.so"));
}

TEST_F(ClosureCase, RunpathOfALibraryTurnsOffTheRpathsOfItsLoaders) {
  library("a/libdeep.so", {"-Wl,-soname,libdeep.so"});
  library("b/libdeep.so", {"-Wl,-soname,libdeep.so"});
  library("lib/libmiddle.so",
          {"-Wl,-soname,libmiddle.so", at("a/libdeep.so"), runpath("$ORIGIN/../b")});
  program("p", {at("lib/libmiddle.so"), rpath("$ORIGIN/a:$ORIGIN/lib")});
  EXPECT_EQ(object(check("p"), "libdeep.so")->path, at("lib/../b/libdeep.so"));
}

TEST_F(ClosureCase, LibraryPathComesBetweenRpathAndRunpath) {
  for (const char* directory : {"own/libx.so", "env/libx.so"}) {
    library(directory, {"-Wl,-soname,libx.so"});
  }
  program("by_rpath", {at("own/libx.so"), rpath("$ORIGIN/own")});
  program("by_runpath", {at("own/libx.so"), runpath("$ORIGIN/own")});
  EXPECT_EQ(object(check("by_rpath", at("env")), "libx.so")->found_by, FoundBy::rpath);
  const Closure closure = check("by_runpath", "/nowhere;" + at("none") + "::" + at("env") + "//");
  EXPECT_EQ(object(closure, "libx.so")->found_by, FoundBy::library_path);
  EXPECT_EQ(object(closure, "libc.so.6")->found_by, FoundBy::cache);
  EXPECT_TRUE(closure.needs_working_directory);
  EXPECT_TRUE(was_absent(closure, "/nowhere/", "libx.so"));
  EXPECT_TRUE(was_absent(closure, "", "libx.so"));
  EXPECT_TRUE(was_absent(closure, at("env/"), "libc.so.6"));
  EXPECT_FALSE(was_absent(closure, at("env/"), "libx.so"));
}

TEST_F(ClosureCase, RelativeDirectoriesAreOfTheCurrentOne) {
  library("lib/libx.so", {"-Wl,-soname,libx.so"});
  library("lib/liby.so", {"-Wl,-soname,liby.so", at("lib/libx.so"), runpath("$ORIGIN")});
  program("p", {at("lib/liby.so"), runpath("lib")});
  const Closure closure = check("p");
  EXPECT_EQ(object(closure, "liby.so")->path, "lib/liby.so");
  EXPECT_TRUE(closure.needs_working_directory);
}

TEST_F(ClosureCase, TokensAreReplaced) {
  library("lib/x86_64-linux-gnu/libx.so", {"-Wl,-soname,libx.so"});
  library(facts().platform + "/liby.so", {"-Wl,-soname,liby.so"});
  library("$ORIGINAL/libz.so", {"-Wl,-soname,libz.so"});
  program("p", {at("lib/x86_64-linux-gnu/libx.so"), at(facts().platform + "/liby.so"),
                at("$ORIGINAL/libz.so"),
                runpath("${ORIGIN}/$LIB:$ORIGIN/${PLATFORM}:" + at("$ORIGINAL"))});
  const Closure closure = check("p");
  EXPECT_EQ(object(closure, "libz.so")->path, at("$ORIGINAL/libz.so"));
}

TEST_F(ClosureCase, OriginOfAProgramIsThatOfTheFileBehindALink) {
  library("real/libx.so", {"-Wl,-soname,libx.so"});
  program("real/p", {at("real/libx.so"), runpath("$ORIGIN")});
  std::filesystem::create_symlink(at("real/p"), at("p"));
  EXPECT_EQ(object(check("p"), "libx.so")->path, at("real/libx.so"));
}

TEST_F(ClosureCase, NamesWithSlashesAreTakenAsTheyAre) {
  library("lib/libx.so", {});  // without a soname, the path is what is needed
  program("p", {at("lib/libx.so")});
  const Closure closure = check("p");
  EXPECT_EQ(object(closure, at("lib/libx.so"))->found_by, FoundBy::path);
  std::filesystem::remove(at("lib/libx.so"));
  const Closure without = check("p");
  EXPECT_EQ(without.missing.size(), 1U);
  EXPECT_TRUE(was_absent(without, at("lib/"), "libx.so"));
}

TEST_F(ClosureCase, AFileOfSeveralNamesIsLoadedOnce) {
  library("lib/libx.so.1", {"-Wl,-soname,libx.so.1"});
  library("lib/libother.so", {"-Wl,-soname,libother.so"});  // a stand-in for the link below
  library("lib/libuser.so", {"-Wl,-soname,libuser.so", at("lib/libother.so")});
  program("p", {at("lib/libx.so.1"), at("lib/libuser.so"), rpath("$ORIGIN/lib")});
  std::filesystem::remove(at("lib/libother.so"));
  std::filesystem::create_symlink("libx.so.1", at("lib/libother.so"));
  const Closure closure = check("p");
  const auto& user = *object(closure, "libuser.so");
  ASSERT_FALSE(user.needed.empty());
  EXPECT_EQ(closure.objects[user.needed[0]].name, "libx.so.1");
}

TEST_F(ClosureCase, ALibraryIsKnownByItsSoname) {
  library("lib/libnew.so", {"-Wl,-soname,libold.so"});
  library("lib/libold.so", {"-Wl,-soname,libold.so"});
  library("lib/libuser.so", {"-Wl,-soname,libuser.so", at("lib/libold.so")});
  library("stub/libnew.so", {"-Wl,-soname,libnew.so"});
  program("p", {at("stub/libnew.so"), at("lib/libuser.so"), rpath("$ORIGIN/lib")});
  const Closure closure = check("p");
  EXPECT_EQ(object(closure, "libnew.so")->path, at("lib/libnew.so"));
  const auto& user = *object(closure, "libuser.so");
  EXPECT_EQ(closure.objects[user.needed[0]].name, "libnew.so");
}

TEST_F(ClosureCase, TheOrderIsBreadthFirst) {
  library("lib/libd.so", {"-Wl,-soname,libd.so"});
  library("lib/libc1.so", {"-Wl,-soname,libc1.so", at("lib/libd.so")});
  library("lib/libb.so", {"-Wl,-soname,libb.so"});
  library("lib/liba.so", {"-Wl,-soname,liba.so", at("lib/libc1.so"), at("lib/libb.so")});
  program("p", {at("lib/liba.so"), at("lib/libd.so"), rpath("$ORIGIN/lib")});
  check("p");
}

TEST_F(ClosureCase, SubdirectoriesForTheProcessorComeFirst) {
  ASSERT_FALSE(facts().subdirectories.empty());
  const std::string worst = "glibc-hwcaps/" + facts().subdirectories.back();
  const std::string best = "glibc-hwcaps/" + facts().subdirectories.front();
  library("lib/libx.so", {"-Wl,-soname,libx.so"});
  library("lib/liby.so", {"-Wl,-soname,liby.so"});
  library("lib/libz.so", {"-Wl,-soname,libz.so"});
  library("lib/" + worst + "/libx.so", {"-Wl,-soname,libx.so"});
  library("lib/" + best + "/libx.so", {"-Wl,-soname,libx.so"});
  library("lib/" + worst + "/liby.so", {"-Wl,-soname,liby.so"});
  library("lib/tls/libz.so", {"-Wl,-soname,libz.so"});
  program("p", {at("lib/libx.so"), at("lib/liby.so"), at("lib/libz.so"), rpath("$ORIGIN/lib")});
  const Closure closure = check("p");
  EXPECT_EQ(object(closure, "libx.so")->path, at("lib/" + best + "/libx.so"));
}

TEST_F(ClosureCase, OfTheOlderSubdirectoriesTheMostSpecialComesFirst) {
  if (!facts().has_legacy) GTEST_SKIP() << "this linker doesn't know them";
  Options needed;
  std::vector<std::string> subdirectories;
  for (const std::string& name : facts().search_subdirectories()) {
    if (!name.starts_with("glibc")) subdirectories.push_back(name);
  }
  // One library after the other is only in what is left of the directories.
  for (std::size_t i = 0; i < subdirectories.size(); ++i) {
    const std::string name = "libx" + std::to_string(i) + ".so";
    for (std::size_t j = i; j < subdirectories.size(); ++j) {
      library("lib/" + subdirectories[j] + name, {"-Wl,-soname," + name});
    }
    needed.push_back(at("lib/" + subdirectories[i] + name));
  }
  needed.push_back(rpath("$ORIGIN/lib"));
  program("p", needed);
  const Closure closure = check("p");
  EXPECT_EQ(object(closure, "libx0.so")->path, at("lib/" + subdirectories[0] + "libx0.so"));
}

TEST_F(ClosureCase, NoDefaultLibrariesMeansNeitherCacheNorSystem) {
  library("lib/libm.so.6", {"-Wl,-soname,libm.so.6", "-nostdlib"});
  library("lib/liby.so",
          {"-Wl,-soname,liby.so", "-nostdlib", "-Wl,-z,nodefaultlib", at("lib/libm.so.6")});
  std::filesystem::remove(at("lib/libm.so.6"));
  program("p", {at("lib/liby.so"), runpath("$ORIGIN/lib")});
  const Closure closure = check("p");
  ASSERT_EQ(closure.missing.size(), 1U);
  EXPECT_EQ(closure.missing[0].name, "libm.so.6");
}

TEST_F(ClosureCase, AFileForAnotherMachineIsPassedOver) {
  library("lib/libx.so", {"-Wl,-soname,libx.so"});
  program("p", {at("lib/libx.so"), runpath("$ORIGIN/first:$ORIGIN/lib")});
  std::string other = os::read_file(at("lib/libx.so"));
  other[EI_CLASS] = ELFCLASS32;
  std::filesystem::create_directory(at("first"));
  os::write_file(at("first/libx.so"), other);
  const Closure closure = check("p");
  EXPECT_EQ(object(closure, "libx.so")->path, at("lib/libx.so"));
  EXPECT_TRUE(was_absent(closure, at("first/"), "libx.so"));
}

TEST_F(ClosureCase, AFileThatIsNoLibraryIsAnError) {
  library("lib/libx.so", {"-Wl,-soname,libx.so"});
  program("p", {at("lib/libx.so"), runpath("$ORIGIN/lib")});
  os::write_file(at("lib/libx.so"),
                 "not a library, but long enough to be the header of one: "
                 "that has sixty-four bytes");
  const auto text = resolve(at("p"));
  ASSERT_FALSE(text.has_value());
  EXPECT_EQ(text.error().subject, at("lib/libx.so"));
  EXPECT_STREQ(text.error().operation, "no ELF header");
  std::filesystem::remove(at("lib/libx.so"));
  std::filesystem::copy_file(at("p"), at("lib/libx.so"));
  EXPECT_STREQ(resolve(at("p")).error().operation, "is a program, not a library");
}

TEST_F(ClosureCase, WhatIsNotAProgramIsAnError) {
  os::write_file(at("script"), "#!/bin/sh\n");
  EXPECT_FALSE(resolve(at("script")).has_value());
  EXPECT_FALSE(resolve(at("nothing")).has_value());
  EXPECT_FALSE(resolve(at("")).has_value());
  library("libx.so", {"-nostdlib"});
  EXPECT_STREQ(resolve(at("libx.so")).error().operation, "has no dynamic linker");
}

TEST_F(ClosureCase, WhatIsReadInSeveralThreadsIsInOrderToo) {
  // Without a soname, so that each copy is needed by its file's name.
  library("lib/libx.so", {"-nostdlib"});
  Options needed{"-L" + at("lib"), rpath("$ORIGIN/lib")};
  constexpr std::size_t kCopies = 200;
  for (std::size_t i = 0; i < kCopies; ++i) {
    const std::string name = "lib" + std::to_string(i * 7 % kCopies) + ".so";
    std::filesystem::copy_file(at("lib/libx.so"), at("lib/" + name));
    needed.push_back("-l:" + name);
  }
  program("p", needed);
  EXPECT_EQ(check("p").objects.size(), 1 + kCopies + 2);
}

}  // namespace
}  // namespace prewarm::image

// SPDX-License-Identifier: MIT
//
// Captures with and without the shortcut: what ld.so has made must be the same, to the word.
#include "image/capture_lookup.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>

#include "image/capture.h"
#include "image/library_case.h"

namespace prewarm::image {
namespace {

constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

class CaptureLookup : public LibraryCase {
 protected:
  // All at the same addresses.
  Capture captured(const std::string& program, std::size_t many_files) const {
    CaptureOptions options;
    options.arena = arena_;
    options.many_files = many_files;
    auto capture = capture_program(program, options);
    EXPECT_TRUE(capture.has_value()) << program << ": " << capture.error().message();
    return capture ? std::move(*capture) : Capture();
  }
  // The capture with the shortcut from this many files on, after it has been compared.
  Capture check(const std::string& program, std::size_t many_files = 1) const {
    const auto whole = captured(program, kNever);
    const auto again = captured(program, kNever);
    auto shorter = captured(program, many_files);
    EXPECT_EQ(whole.lookups.answered + whole.lookups.shortened + whole.lookups.whole, 0U);
    EXPECT_EQ(shorter.files_opened, whole.files_opened);
    EXPECT_EQ(shorter.files_absent, whole.files_absent);
    EXPECT_EQ(paths(shorter), paths(whole));
    EXPECT_EQ(shorter.regions.size(), whole.regions.size());
    if (shorter.regions.size() != whole.regions.size()) return shorter;
    for (std::size_t i = 0; i < whole.regions.size(); ++i) {
      compare(whole.regions[i], again.regions[i], shorter.regions[i]);
    }
    return shorter;
  }
  static std::vector<std::string> paths(const Capture& capture) {
    std::vector<std::string> result;
    for (const auto& object : capture.objects) result.push_back(object.path);
    return result;
  }

 private:
  // Words that differ between two starts anyhow say nothing.
  static void compare(const CapturedRegion& whole, const CapturedRegion& again,
                      const CapturedRegion& shorter) {
    ASSERT_EQ(whole.address, shorter.address);
    ASSERT_EQ(whole.size, shorter.size);
    ASSERT_EQ(whole.file, shorter.file);
    ASSERT_EQ(whole.bytes.size(), shorter.bytes.size());
    const auto word = [](const CapturedRegion& region, std::size_t at) {
      std::uint64_t value = 0;
      std::memcpy(&value, region.bytes.data() + at, sizeof value);
      return value;
    };
    for (std::size_t at = 0; at + 8 <= whole.bytes.size(); at += 8) {
      if (word(whole, at) != word(again, at)) continue;
      ASSERT_EQ(word(shorter, at), word(whole, at))
          << "at " << std::hex << whole.address + at << " of " << whole.file;
    }
  }

  std::uint64_t arena_ = draw_arena(CaptureOptions().arena_size);
};

TEST_F(CaptureLookup, OfProgramsOfTheSystem) {
  for (const char* program : {"/usr/bin/curl", "/usr/bin/gdb"}) {
    if (!std::filesystem::exists(program)) continue;
    for (const std::size_t many : {1, 5, 12}) {
      const auto capture = check(program, many);
      EXPECT_GT(capture.lookups.answered, 20U) << program << ", from " << many;
      EXPECT_GT(capture.lookups.shortened, 5U) << program << ", from " << many;
    }
  }
}

TEST_F(CaptureLookup, FindsALibraryByItsSoname) {
  // libuser needs libold.so, which is what libnew.so says that it is: the other isn't loaded.
  library("lib/libold.so", {soname("libold.so")});
  library("lib/libuser.so", {soname("libuser.so"), at("lib/libold.so")});
  library("lib/libfirst.so", {soname("libfirst.so")});
  library("lib/libsecond.so", {soname("libsecond.so")});
  library("lib/libnew.so", {soname("libnew.so")});
  program("p", {at("lib/libfirst.so"), at("lib/libnew.so"), at("lib/libsecond.so"),
                at("lib/libuser.so"), rpath("$ORIGIN/lib")});
  const auto usual = check(at("p"));
  library("lib/libnew.so", {soname("libold.so")});
  const auto capture = check(at("p"));
  EXPECT_EQ(capture.lookups.whole, usual.lookups.whole + 1);
  EXPECT_GT(capture.lookups.shortened, 0U);
  for (const auto& path : paths(capture)) EXPECT_FALSE(path.ends_with("/libold.so"));
}

TEST_F(CaptureLookup, LoadsAFileOfTwoNamesOnce) {
  for (const char* name : {"liba", "libb", "libc1", "libother"}) {
    library("lib/" + std::string(name) + ".so", {soname(std::string(name) + ".so")});
  }
  library("lib/libuser.so", {soname("libuser.so"), at("lib/libother.so"), at("lib/liba.so")});
  program("p", {at("lib/liba.so"), at("lib/libb.so"), at("lib/libc1.so"), at("lib/libuser.so"),
                rpath("$ORIGIN/lib")});
  std::filesystem::remove(at("lib/libother.so"));
  std::filesystem::create_symlink("libb.so", at("lib/libother.so"));
  const auto capture = check(at("p"));
  EXPECT_GT(capture.lookups.answered, 0U);
  EXPECT_EQ(std::ranges::count(paths(capture), at("lib/libb.so")), 1);
  for (const auto& path : paths(capture)) EXPECT_FALSE(path.ends_with("/libother.so"));
}

TEST_F(CaptureLookup, FindsALibraryByItsPath) {
  library("lib/liba.so", {soname("liba.so")});
  library("lib/libpath.so", {});  // without a soname, the path is what is needed
  library("lib/libuser.so", {soname("libuser.so"), at("lib/libpath.so")});
  library("lib/libpath.so", {soname("libpath.so")});
  library("lib/libb.so", {soname("libb.so")});
  program("p", {at("lib/liba.so"), at("lib/libpath.so"), at("lib/libb.so"), at("lib/libuser.so"),
                rpath("$ORIGIN/lib")});
  const auto capture = check(at("p"));
  library("lib/libuser.so", {soname("libuser.so")});
  EXPECT_EQ(capture.lookups.whole, check(at("p")).lookups.whole + 1);
  EXPECT_EQ(std::ranges::count(capture.files_opened, at("lib/libpath.so")), 1);
}

TEST_F(CaptureLookup, ALibraryThatNeedNotBeThere) {
  // libgone is looked for last, after what libc needs. Nothing is opened for it: there is nowhere
  // to look.
  library("lib/libuser.so",
          {soname("libuser.so"), "-Wl,--auxiliary,libgone.so", "-Wl,-z,nodefaultlib"});
  library("lib/liba.so", {soname("liba.so")});
  library("lib/libb.so", {soname("libb.so")});
  library("lib/liblast.so", {soname("liblast.so"), at("lib/libuser.so"), runpath("$ORIGIN")});
  program("p",
          {at("lib/liba.so"), at("lib/libb.so"), at("lib/liblast.so"), runpath("$ORIGIN/lib")});
  check(at("p"));
}

TEST_F(CaptureLookup, AMissingLibraryIsSaid) {
  library("lib/liba.so", {soname("liba.so")});
  library("lib/libgone.so", {soname("libgone.so")});
  library("lib/libb.so", {soname("libb.so"), at("lib/libgone.so")});
  program("p", {at("lib/liba.so"), at("lib/libb.so"), rpath("$ORIGIN/lib")});
  std::filesystem::remove(at("lib/libgone.so"));
  CaptureOptions options;
  options.arena = draw_arena(options.arena_size);
  options.many_files = 1;
  EXPECT_FALSE(capture_program(at("p"), options).has_value());
}

}  // namespace
}  // namespace prewarm::image

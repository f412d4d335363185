// SPDX-License-Identifier: MIT
#include "image/capture.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <filesystem>

#include <sys/wait.h>
#include "image/eligible.h"
#include "os/fd.h"

namespace prewarm::image {
namespace {

constexpr char kProgram[] = "/usr/bin/ls";  // PIE, with libraries besides libc

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)entry;
    ++count;
  }
  return count;
}

CaptureOptions options_at(std::uint64_t arena) {
  CaptureOptions options;
  options.arena = arena;
  return options;
}

TEST(Capture, IsOfALinkedProgramAndAllOfItIsInTheArena) {
  CaptureOptions options;
  options.arena = draw_arena(options.arena_size);
  const auto captured = capture_program(kProgram, options);
  ASSERT_TRUE(captured.has_value()) << captured.error().message();
  EXPECT_EQ(captured->arena_begin, options.arena);
  EXPECT_EQ(captured->objects.front().path, kProgram);
  EXPECT_TRUE(std::ranges::any_of(
      captured->objects, [](const auto& object) { return object.path.ends_with("/libc.so.6"); }));
  for (const auto& region : captured->regions) {
    EXPECT_GE(region.address, captured->arena_begin);
    EXPECT_LE(region.address + region.size, captured->arena_end);
    EXPECT_NE(region.protection & (PROT_WRITE | PROT_EXEC), PROT_WRITE | PROT_EXEC);
  }
  for (const auto code : {captured->start, captured->entry, captured->unmap_gadget}) {
    const auto* region = captured->find(code);
    ASSERT_NE(region, nullptr);
    EXPECT_NE(region->protection & PROT_EXEC, 0);
    EXPECT_TRUE(region->bytes.empty()) << "a breakpoint is left in " << region->file;
  }
  EXPECT_TRUE(std::ranges::count(captured->files_opened, "/etc/ld.so.cache") == 1);
  EXPECT_TRUE(std::ranges::count(captured->files_absent, "/etc/ld.so.preload") == 1);
}

TEST(Capture, TheThreadIsAsLdSoHasToldTheKernel) {
  const auto captured = capture_program(kProgram, options_at(draw_arena(1ULL << 38)));
  ASSERT_TRUE(captured.has_value()) << captured.error().message();
  const auto pointer = captured->thread.thread_pointer;
  EXPECT_EQ(captured->word(pointer), pointer) << "the thread control block begins with itself";
  EXPECT_EQ(captured->word(pointer + 0x28), captured->anchors.random_words[0] & ~0xffULL);
  EXPECT_EQ(captured->word(captured->thread.tid_address) & 0xffff'ffff,
            captured->anchors.thread_id);
}

TEST(Capture, DoesNotMakeTheProgramsFileBusy) {
  const std::string path = ::testing::TempDir() + "capture-busy";
  std::filesystem::copy_file(kProgram, path, std::filesystem::copy_options::overwrite_existing);
  auto options = options_at(draw_arena(1ULL << 38));
  bool can_be_written = false;
  options.linked = [&](Capture&, const auto&) {
    can_be_written = os::Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)).valid();
    return os::Result<void>();
  };
  const auto captured = capture_program(path, options);
  std::filesystem::remove(path);
  ASSERT_TRUE(captured.has_value()) << captured.error().message();
  EXPECT_TRUE(can_be_written);
  EXPECT_EQ(captured->find(captured->entry)->file, path);
}

TEST(Capture, LeavesNothingBehind) {
  const auto before = open_descriptors();
  for (const char* program : {kProgram, "/nonexistent/program"}) {
    (void)capture_program(program, options_at(draw_arena(1ULL << 38)));
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child";
}

TEST(Capture, SaysWhyItIsNotPossible) {
  const auto none = capture_program("/nonexistent/program", options_at(draw_arena(1ULL << 38)));
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().subject, "/nonexistent/program");
  // There is no room for libraries.
  auto options = options_at(draw_arena(1ULL << 38));
  options.arena_size = 64 * kPageSize;
  EXPECT_FALSE(capture_program(kProgram, options).has_value());
}

TEST(Eligible, BySomeProgramsOfTheSystem) {
  EXPECT_EQ(check_program(kProgram), Refusal::none);
  EXPECT_EQ(check_program("/nonexistent/program"), Refusal::not_found);
  EXPECT_EQ(check_program("/etc/passwd"), Refusal::not_elf);
  EXPECT_EQ(check_program("/usr/bin/passwd"), Refusal::privileged);
  EXPECT_EQ(check_program(PREWARM_TEST_COUNT), Refusal::static_program);
}

}  // namespace
}  // namespace prewarm::image

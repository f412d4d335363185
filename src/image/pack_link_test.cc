// SPDX-License-Identifier: MIT
#include "image/pack_link.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "image/capture.h"
#include "image/capture_memory.h"
#include "image/glibc_layout.h"
#include "image/pack_plan.h"

namespace prewarm::image {
namespace {

struct Comparison {
  std::size_t libraries = 0;
  std::size_t words = 0;
  std::size_t left_lazy = 0;
  std::vector<std::string> different;
};

std::vector<LinkObject> objects_of(const Capture& capture, const LoaderView& loader,
                                   CaptureMemory& memory) {
  std::vector<LinkObject> objects;
  for (const auto& object : capture.objects) {
    LinkObject result;
    result.base = object.base;
    result.tls_module = memory.word(object.link_map + loader.layout().map.tls_module);
    result.tls_offset = memory.word(object.link_map + loader.layout().map.tls_offset);
    if (object.base != capture.vdso.code) {
      auto file = open_library(object.path);
      if (file) result.file = *file;
    }
    objects.push_back(std::move(result));
  }
  return objects;
}

// What ld.so has made of a program, and what the linker makes of it: all bound, so that there is
// nothing that ld.so has put off.
void compare(const std::string& program, Comparison& result) {
  CaptureOptions options;
  options.arena = draw_arena(options.arena_size);
  options.bind_now = true;
  options.linked = [&](Capture& capture, const Linker::Call& call) -> os::Result<void> {
    CaptureMemory memory(capture);
    const auto loader = LoaderView::open(capture, memory);
    if (!loader) return std::unexpected(loader.error());
    Linker linker(objects_of(capture, *loader, memory), loader->scope(), call);
    for (std::uint32_t i = 1; i < capture.objects.size(); ++i) {
      const auto& file = linker.objects()[i].file;
      if (!file || why_kept(*file, true)) continue;
      const auto words = linker.link(i);
      if (!words) {
        result.different.push_back(capture.objects[i].path + ": " + words.error().message());
        continue;
      }
      ++result.libraries;
      for (const auto& word : *words) {
        ++result.words;
        if (word.left_lazy) {
          ++result.left_lazy;
        } else if (memory.word(word.address) != word.value) {
          result.different.push_back(capture.objects[i].path + " at " +
                                     std::to_string(word.address - capture.objects[i].base));
        }
      }
    }
    return {};
  };
  const auto capture = capture_program(program, options);
  ASSERT_TRUE(capture) << capture.error().message();
}

class PackLinkLikeLoader : public testing::TestWithParam<const char*> {};

TEST_P(PackLinkLikeLoader, WordForWord) {
  const std::string program = GetParam();
  if (::access(program.c_str(), X_OK) != 0) GTEST_SKIP() << program << " isn't installed";
  Comparison result;
  compare(program, result);
  EXPECT_EQ(result.different, std::vector<std::string>{});
  EXPECT_GT(result.libraries, 0U);
  EXPECT_GT(result.words, 50U);
}

INSTANTIATE_TEST_SUITE_P(Programs, PackLinkLikeLoader,
                         testing::Values("/usr/bin/gdb", "/usr/bin/curl", "/usr/bin/python3",
                                         "/usr/bin/git", "/usr/bin/cmake", "/usr/bin/ls",
                                         "/usr/bin/clangd", "/usr/bin/qemu-system-x86_64",
                                         "/usr/bin/memusagestat", "/usr/bin/perl"));

TEST(LoaderView, KnowsThisLoader) {
  CaptureOptions options;
  options.arena = draw_arena(options.arena_size);
  auto capture = capture_program("/usr/bin/true", options);
  ASSERT_TRUE(capture) << capture.error().message();
  CaptureMemory memory(*capture);
  const auto loader = LoaderView::open(*capture, memory);
  ASSERT_TRUE(loader) << loader.error().message();
  EXPECT_EQ(loader->scope().front(), 0U);
  EXPECT_GE(loader->scope().size(), 3U);  // the program, libc, ld.so
  EXPECT_GE(loader->find_object_table().size(), 2U);
}

TEST(LoaderView, RefusesWhatItDoesNotKnow) {
  CaptureOptions options;
  options.arena = draw_arena(options.arena_size);
  auto capture = capture_program("/usr/bin/true", options);
  ASSERT_TRUE(capture) << capture.error().message();
  CaptureMemory memory(*capture);
  const auto* layout = loader_layout("2.36");
  ASSERT_NE(layout, nullptr);
  EXPECT_EQ(loader_layout("2.35"), nullptr);
  // One word of a link map isn't where it should be.
  const auto map = capture->objects.back().link_map;
  for (const auto offset : {layout->map.real, layout->map.map_start, layout->map.map_end,
                            layout->map.info + 8 * DT_STRTAB}) {
    const auto was = memory.word(map + offset);
    ASSERT_TRUE(memory.put(map + offset, std::uint64_t{16}));
    EXPECT_FALSE(LoaderView::open(*capture, memory)) << offset;
    ASSERT_TRUE(memory.put(map + offset, was));
  }
  // The table of where objects are.
  const auto loader = LoaderView::open(*capture, memory);
  ASSERT_TRUE(loader);
  ASSERT_TRUE(memory.put(loader->find_object_words() + 16, std::uint64_t{1}));
  EXPECT_FALSE(LoaderView::open(*capture, memory));
}

}  // namespace
}  // namespace prewarm::image

// SPDX-License-Identifier: MIT
#include "image/library_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "image/mapped_file.h"
#include "os/testing.h"
#include "prewarm/command.h"

namespace prewarm::image {
namespace {

LoaderFacts facts_with(std::vector<std::string> subdirectories) {
  LoaderFacts facts;
  facts.subdirectories = std::move(subdirectories);
  facts.has_legacy = true;
  facts.capabilities = 6;
  facts.platform_number = ~std::uint64_t{0};
  return facts;
}

// What `find` says of a cache in the fuzzer's corpus; "-" if nothing.
class Seed {
 public:
  Seed(const std::string& name, const LoaderFacts& facts)
      : bytes_(os::read_file(PREWARM_TEST_SOURCE_DIR "/fuzz/corpus/fuzz_library_cache/" + name)),
        cache_(LibraryCache::read(std::as_bytes(std::span(bytes_)), facts, diagnostics_)) {}
  std::string find(std::string_view name) const {
    if (!cache_) return "not read";
    return std::string(cache_->find(name).value_or("-"));
  }
  std::string problem() const {
    const std::string first = diagnostics_.first();
    return first.substr(0, first.find(" ("));
  }

 private:
  std::string bytes_;
  Diagnostics diagnostics_;
  std::optional<LibraryCache> cache_;
};

TEST(LibraryCache, FindsByNameInTheOrderOfTheFile) {
  const Seed cache("some", facts_with({}));
  EXPECT_EQ(cache.find("libz.so.1"), "/lib/libz.so.1");
  EXPECT_EQ(cache.find("libx.so.10"), "/lib/libx.so.10");
  EXPECT_EQ(cache.find("libx.so.9"), "/lib/libx.so.9");
  EXPECT_EQ(cache.find("libx.so.09"), "/lib/libx.so.9");  // numbers count as such
  EXPECT_EQ(cache.find("liba.so"), "/lib/liba.so");
  EXPECT_EQ(cache.find("libx.so.1"), "-");
  EXPECT_EQ(cache.find("liba.so.0"), "-");
  EXPECT_EQ(cache.find("z"), "-");
  EXPECT_EQ(cache.find(""), "-");
}

TEST(LibraryCache, EntriesForOtherMachinesArePassedOver) {
  const Seed cache("some", facts_with({}));
  EXPECT_EQ(cache.find("libboth.so"), "/lib/libboth.so");
  EXPECT_EQ(cache.find("lib32.so"), "-");
}

TEST(LibraryCache, TheBestSubdirectoryThatTheProcessorHasIsTaken) {
  EXPECT_EQ(Seed("some", facts_with({"x86-64-v4", "x86-64-v3", "x86-64-v2"})).find("libfast.so"),
            "/lib/glibc-hwcaps/x86-64-v3/libfast.so");
  EXPECT_EQ(Seed("some", facts_with({"x86-64-v3", "x86-64-v2"})).find("libquick.so"),
            "/lib/glibc-hwcaps/x86-64-v3/libquick.so");
  EXPECT_EQ(Seed("some", facts_with({"x86-64-v2"})).find("libfast.so"),
            "/lib/glibc-hwcaps/x86-64-v2/libfast.so");
  EXPECT_EQ(Seed("some", facts_with({})).find("libfast.so"), "/lib/libfast.so");
}

TEST(LibraryCache, OlderEntriesAskForWhatTheProcessorHas) {
  LoaderFacts facts = facts_with({});
  EXPECT_EQ(Seed("some", facts).find("libold.so"), "/lib/avx512_1/libold.so");
  facts.capabilities = 2;
  EXPECT_EQ(Seed("some", facts).find("libold.so"), "/lib/libold.so");
}

TEST(LibraryCache, SaysWhatIsWrong) {
  EXPECT_EQ(Seed("some", facts_with({})).problem(), "");
  for (const char* name : {"empty", "other-version", "big-endian"}) {
    EXPECT_EQ(Seed(name, facts_with({})).problem(), "not a cache of libraries of this format");
  }
  EXPECT_EQ(Seed("too-many", facts_with({})).problem(), "entries outside the file");
  EXPECT_EQ(Seed("far-extension", facts_with({})).problem(), "an extension outside the file");
  EXPECT_EQ(Seed("many-extensions", facts_with({})).problem(), "an extension outside the file");
  EXPECT_EQ(Seed("far-strings", facts_with({})).find("libz.so.1"), "-");
}

TEST(LibraryCache, AgreesWithLdconfig) {
  const auto file = MappedFile::open(kLibraryCachePath);
  const auto facts = ask_loader("/lib64/ld-linux-x86-64.so.2");
  const auto printed = Command("/sbin/ldconfig").arg("-p").env("LC_ALL", "C").capture();
  ASSERT_TRUE(file && facts && printed);
  Diagnostics diagnostics;
  const auto cache = LibraryCache::read(file->bytes(), *facts, diagnostics);
  ASSERT_TRUE(cache.has_value()) << diagnostics.first();
  // "\tNAME (libc6,x86-64) => PATH"; with more in the brackets it is for certain processors. Of
  // several lines for one name the first counts.
  constexpr std::string_view kKind = " (libc6,x86-64) => ";
  std::string_view text = printed->out;
  std::string last;
  int compared = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto kind = line.find(kKind);
    if (kind == std::string_view::npos || !line.starts_with('\t')) continue;
    const std::string name(line.substr(1, kind - 1));
    if (name == last || printed->out.find("\t" + name + " (libc6,x86-64, ") != std::string::npos) {
      continue;
    }
    last = name;
    EXPECT_EQ(cache->find(name), line.substr(kind + kKind.size())) << name;
    ++compared;
  }
  EXPECT_GT(compared, 20);
}

}  // namespace
}  // namespace prewarm::image

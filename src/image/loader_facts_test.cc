// SPDX-License-Identifier: MIT
#include "image/loader_facts.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "os/testing.h"

namespace prewarm::image {
namespace {

constexpr char kSaid[] = R"(dl_dst_lib="lib/x86_64-linux-gnu"
dl_hwcap=0x6
dl_hwcap_important=0x6
dl_hwcap2=0x2
dl_hwcaps_subdirs="x86-64-v4:x86-64-v3:x86-64-v2"
dl_hwcaps_subdirs_active=0x6
dl_platform="haswell"
dl_string_platform=0x32
path.system_dirs[0x0]="/lib/x86_64-linux-gnu/"
path.system_dirs[0x1]="/usr/lib/"
version.release="stable"
version.version="2.36"
)";

using Names = std::vector<std::string>;

TEST(LoaderFacts, AreReadFromWhatTheLinkerSays) {
  const auto facts = parse_loader_facts(kSaid);
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->version, "2.36");
  EXPECT_EQ(facts->platform, "haswell");
  EXPECT_EQ(facts->library, "lib/x86_64-linux-gnu");
  EXPECT_EQ(facts->system_directories, (Names{"/lib/x86_64-linux-gnu/", "/usr/lib/"}));
  EXPECT_EQ(facts->subdirectories, (Names{"x86-64-v3", "x86-64-v2"}));
  EXPECT_EQ(facts->platform_number, 0x32U);
}

TEST(LoaderFacts, SubdirectoriesAreInTheOrderOfTheSearch) {
  EXPECT_EQ(parse_loader_facts(kSaid)->search_subdirectories(),
            (Names{"glibc-hwcaps/x86-64-v3/", "glibc-hwcaps/x86-64-v2/",
                   "tls/haswell/avx512_1/x86_64/", "tls/haswell/avx512_1/", "tls/haswell/x86_64/",
                   "tls/haswell/", "tls/avx512_1/x86_64/", "tls/avx512_1/", "tls/x86_64/", "tls/",
                   "haswell/avx512_1/x86_64/", "haswell/avx512_1/", "haswell/x86_64/", "haswell/",
                   "avx512_1/x86_64/", "avx512_1/", "x86_64/", ""}));
  std::string newer = kSaid;
  newer.erase(newer.find("dl_hwcap="), newer.find("dl_hwcap2") - newer.find("dl_hwcap="));
  EXPECT_EQ(parse_loader_facts(newer)->search_subdirectories(),
            (Names{"glibc-hwcaps/x86-64-v3/", "glibc-hwcaps/x86-64-v2/", ""}));
}

TEST(LoaderFacts, SomethingElseIsRefused) {
  EXPECT_EQ(parse_loader_facts("").error().code, EPROTO);
  for (const char* key : {"dl_dst_lib", "dl_platform", "dl_hwcaps_subdirs_active", "path.system",
                          "version.version"}) {
    std::string text = kSaid;
    for (auto at = text.find(key); at != std::string::npos; at = text.find(key)) text[at] = '_';
    EXPECT_FALSE(parse_loader_facts(text).has_value()) << key;
  }
  EXPECT_FALSE(ask_loader("/bin/false").has_value());
  EXPECT_FALSE(ask_loader("/bin/true").has_value());
  EXPECT_FALSE(ask_loader("/no/such/loader").has_value());
}

TEST(LoaderFacts, TheInstalledLinkerAnswers) {
  const auto facts = ask_loader("/lib64/ld-linux-x86-64.so.2");
  ASSERT_TRUE(facts.has_value()) << facts.error().message();
  EXPECT_FALSE(facts->system_directories.empty());
  for (const std::string& directory : facts->system_directories) {
    EXPECT_TRUE(directory.starts_with('/') && directory.ends_with('/'));
  }
}

}  // namespace
}  // namespace prewarm::image

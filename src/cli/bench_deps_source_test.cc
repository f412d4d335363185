// SPDX-License-Identifier: MIT
#include "cli/bench_deps_source.h"

#include <gmock/gmock.h>

#include <cstring>

namespace prewarm::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(DepsSource, AnObjectIsTheTemplateWithNamesAndValuesOfTheSameLength) {
  const DepsClosure closure({.libs = 3, .graph = DepsGraph::chain});
  const std::string object = deps_object("pSELF0_f1 VaLu pDEP00_f0 TlSv pSELF0", closure, 2);
  const std::uint32_t values[] = {deps_value(2), deps_tls_value(2)};
  std::string expected = "p00002_f1 VaLu p00001_f0 TlSv p00002";
  std::memcpy(expected.data() + 10, &values[0], sizeof values[0]);
  std::memcpy(expected.data() + 25, &values[1], sizeof values[1]);
  EXPECT_EQ(object, expected);
}

TEST(DepsSource, ATemplateHasWhatTheShapeSays) {
  const std::string plain = deps_template({}, 2);
  EXPECT_THAT(plain, HasSubstr("pDEP01_f0(x + 1)"));
  EXPECT_THAT(plain, Not(HasSubstr("pDEP02")));
  for (const char* word : {"thread_local", "_Thread_local", "class", "symver"}) {
    EXPECT_THAT(plain, Not(HasSubstr(word)));
  }
  EXPECT_THAT(deps_template({.tls = true}, 0), HasSubstr("_Thread_local"));
  EXPECT_THAT(deps_template({.cxx = true, .tls = true}, 0), HasSubstr("extern thread_local"));
  EXPECT_THAT(deps_template({.cxx = true}, 1), HasSubstr("catch (const PrewarmThrown&"));
  EXPECT_THAT(deps_template({.versions = true}, 0), HasSubstr("f0@@PREWARM_2"));
}

}  // namespace
}  // namespace prewarm::cli

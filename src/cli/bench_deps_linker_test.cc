// SPDX-License-Identifier: MIT
#include "cli/bench_deps_linker.h"

#include <gmock/gmock.h>

namespace prewarm::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(DepsLinkLine, TakesTheArgumentsWithoutThePlugin) {
  EXPECT_THAT(
      DepsLinkLine::parse(
          "Target: x86_64-linux-gnu\n"
          "COLLECT_GCC_OPTIONS='-shared' '-o' 'PREWARM_OUTPUT'\n"
          " /usr/lib/collect2 -plugin /usr/lib/lto.so \"-plugin-opt=-pass-through=-lgcc\" "
          "\"--hash-style=gnu\" -o PREWARM_OUTPUT crti.o PREWARM_INPUTS -rpath \"\\$ORIGIN\" -lc\n"
          "COLLECT_GCC_OPTIONS='-shared'\n"),
      ElementsAre("--hash-style=gnu", "-o", "PREWARM_OUTPUT", "crti.o", "PREWARM_INPUTS", "-rpath",
                  "$ORIGIN", "-lc"));
}

TEST(DepsLinkLine, KeepsBlanksThatAreQuoted) {
  EXPECT_THAT(DepsLinkLine::parse(" ld \"-L/a b\" \"\"  PREWARM_OUTPUT x\\\\y\n"),
              ElementsAre("-L/a b", "", "PREWARM_OUTPUT", "x\\y"));
}

TEST(DepsLinkLine, IsEmptyWhereNothingIsLinked) {
  EXPECT_THAT(DepsLinkLine::parse(""), IsEmpty());
  EXPECT_THAT(DepsLinkLine::parse("gcc: error: PREWARM_OUTPUT\n as -o x.o\n"), IsEmpty());
}

}  // namespace
}  // namespace prewarm::cli

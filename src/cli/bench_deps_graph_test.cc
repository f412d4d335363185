// SPDX-License-Identifier: MIT
#include "cli/bench_deps_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace prewarm::cli {
namespace {

TEST(DepsGraph, StarIsNeededByTheProgramAlone) {
  const DepsClosure closure({.libs = 70, .graph = DepsGraph::star});
  for (unsigned i = 0; i < 70; ++i) EXPECT_TRUE(closure.needs(i).empty());
  EXPECT_EQ(closure.roots().size(), 70U);
}

TEST(DepsGraph, ChainHasOneRoot) {
  const DepsClosure closure({.libs = 9, .graph = DepsGraph::chain});
  EXPECT_TRUE(closure.needs(0).empty());
  for (unsigned i = 1; i < 9; ++i) EXPECT_EQ(closure.needs(i), std::vector<unsigned>{i - 1});
  EXPECT_EQ(closure.roots(), std::vector<unsigned>{8});
  EXPECT_EQ(closure.called(), std::vector<unsigned>{8});
}

TEST(DepsGraph, DagNeedsSeveralBeforeItWithinReach) {
  const DepsClosure closure({.libs = 1000, .deps = 4});
  std::set<unsigned> needed;
  for (unsigned i = 0; i < 1000; ++i) {
    const std::set<unsigned> distinct(closure.needs(i).begin(), closure.needs(i).end());
    EXPECT_EQ(distinct.size(), std::min(i, 4U));
    EXPECT_EQ(distinct.size(), closure.needs(i).size());
    for (const unsigned other : distinct) {
      EXPECT_LT(other, i);
      EXPECT_LE(i - other, kDepsReach);
    }
    needed.insert(distinct.begin(), distinct.end());
  }
  for (unsigned i = 0; i < 1000; ++i) {
    EXPECT_NE(needed.contains(i), std::ranges::binary_search(closure.roots(), i)) << i;
  }
}

TEST(DepsGraph, CallsAreSpreadOverTheRootsAndReachTheLast) {
  const DepsClosure closure({.libs = 777, .graph = DepsGraph::star});
  EXPECT_EQ(closure.called().size(), kMostDepsCalled);
  EXPECT_TRUE(std::ranges::is_sorted(closure.called()));
  EXPECT_EQ(closure.called().back(), 776U);
  EXPECT_LT(closure.called().front(), 777U / kMostDepsCalled);
}

TEST(DepsGraph, NameAndChecksumTellShapesApart) {
  std::set<std::string> names;
  std::set<std::uint32_t> sums;
  const DepsShape shapes[] = {{.libs = 40},
                              {.libs = 41},
                              {.libs = 40, .functions = 6},
                              {.libs = 40, .graph = DepsGraph::star},
                              {.libs = 40, .graph = DepsGraph::chain},
                              {.libs = 40, .deps = 2},
                              {.libs = 40, .cxx = true},
                              {.libs = 40, .tls = true}};
  for (const DepsShape& shape : shapes) {
    names.insert(shape_name(shape));
    sums.insert(DepsClosure(shape).checksum());
    EXPECT_EQ(DepsClosure(shape).checksum(), DepsClosure(shape).checksum());
  }
  EXPECT_EQ(names.size(), std::size(shapes));
  EXPECT_EQ(sums.size(), std::size(shapes));
  EXPECT_EQ(shape_name({.libs = 7, .versions = true, .max_page_size = 4096}),
            "dag-7x5-deps3-versions-page4096");
}

TEST(DepsGraph, EachDependencyIsCalledByAFunctionThatThereIs) {
  for (const unsigned functions : {2U, 3U, 50U}) {
    for (unsigned which = 0; which < kMostDeps; ++which) {
      const unsigned caller = deps_caller_of({.functions = functions}, which);
      EXPECT_GE(caller, 1U);
      EXPECT_LT(caller, functions);
    }
  }
}

}  // namespace
}  // namespace prewarm::cli

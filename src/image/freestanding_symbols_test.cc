// SPDX-License-Identifier: MIT
//
// What asks the loader service runs before the C library is initialised: what its object file needs
// from outside, and what it could write to, is an exact list.
#include <gtest/gtest.h>

#include "os/testing_object_file.h"

namespace prewarm::image {
namespace {

using os::Names;

TEST(MapClientFile, NeedsNothingAndHasNothingThatCanBeWritten) {
  const os::ObjectFile file(PREWARM_TEST_MAP_CLIENT);
  ASSERT_TRUE(file.valid()) << PREWARM_TEST_MAP_CLIENT;
  EXPECT_EQ(file.symbols(false), Names{});
  EXPECT_EQ(file.writable(), Names{});
}

}  // namespace
}  // namespace prewarm::image

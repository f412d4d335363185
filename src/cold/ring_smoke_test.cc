// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>

#include "os/testing.h"
#include "prewarm/spawn.h"

namespace prewarm {
namespace {

TEST(RingSmoke, Runs) {
  for (const Backend backend : {Backend::shared_memory, Backend::vfork, Backend::fork}) {
    for (const bool own : {true, false}) {
      RingOptions options;
      options.backend = backend;
      options.own_task = own;
      auto ring = SpawnRing::create(options);
      ASSERT_TRUE(ring) << ring.error().message();
      os::Pipe pipe = os::make_pipe();
      char echo[] = "/bin/echo";
      char hello[] = "hello";
      char* argv[] = {echo, hello, nullptr};
      const Operation row[] = {op::clone().tag(1), op::dup(pipe.write.get(), 1).tag(2),
                               op::exec("/nonexistent", argv, environ).tag(3),
                               op::exec("/bin/echo", argv, environ).tag(4)};
      ASSERT_TRUE(ring->push_chain(row));
      ASSERT_EQ(ring->submit().value(), 4U);
      std::vector<Completion> all;
      while (all.size() < 4) {
        Completion some[8];
        const unsigned n = ring->wait(some).value();
        ASSERT_NE(n, 0U);
        for (unsigned i = 0; i < n; ++i) all.push_back(std::move(some[i]));
      }
      pipe.write.reset();
      EXPECT_EQ(os::read_all(pipe.read.get()), "hello\n");
      EXPECT_GT(all[0].result, 0);
      EXPECT_EQ(all[1].result, 0);
      EXPECT_EQ(all[2].result, -ENOENT);
      EXPECT_EQ(all[3].result, 0);
      EXPECT_EQ(os::wait_for(all[0].result), 0);
    }
  }
}

}  // namespace
}  // namespace prewarm

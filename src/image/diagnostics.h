// SPDX-License-Identifier: MIT
//
// What a reader finds wrong with a file. Whoever calls decides whether the reader stops at the
// first problem (to load: any problem is one too many) or goes on and collects all (to explain).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace prewarm::image {

struct Problem {
  const char* what;     // a literal: "segments overlap"
  std::uint64_t where;  // what it counts is said by `what`: an offset, an address, an index
};

class Diagnostics {
 public:
  enum class Mode { stop_at_first, collect };
  static constexpr std::size_t kMostKept = 64;  // of a broken file there is no end of problems

  explicit Diagnostics(Mode mode = Mode::stop_at_first) : mode_(mode) {}

  // Returns whether the reader is to go on with what doesn't depend on the thing that is wrong.
  bool report(const char* what, std::uint64_t where = 0) {
    ++count_;
    if (problems_.size() < kMostKept) problems_.push_back({what, where});
    return mode_ == Mode::collect;
  }

  // All that were reported, kept or not.
  std::size_t count() const { return count_; }
  const std::vector<Problem>& problems() const { return problems_; }
  // The first one, for a message: "segments overlap (0x1000)". Empty if there is none.
  std::string first() const;

 private:
  Mode mode_;
  std::size_t count_ = 0;
  std::vector<Problem> problems_;
};

}  // namespace prewarm::image

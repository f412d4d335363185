// SPDX-License-Identifier: MIT
//
// The libraries of `prewarm bench deps`: which of them need which, and what their functions
// compute. Pure arithmetic: the same shape gives the same everywhere, so that who runs the program
// knows what it must print. bench_deps_source.h has the same functions as C.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace prewarm::cli {

enum class DepsGraph : std::uint8_t {
  star,   // the program needs all of them, they need the C library only
  chain,  // each needs the one before it
  dag,    // each needs some of the kDepsReach before it
};

struct DepsShape {
  unsigned libs = 1000;
  unsigned functions = 5;  // of each library, at least 2
  DepsGraph graph = DepsGraph::dag;
  unsigned deps = 3;           // libraries that each library needs; of a dag only
  bool cxx = false;            // C++: classes, vague linkage, exceptions, constructors
  bool tls = false;            // a thread-local variable in each
  bool versions = false;       // of symbols; of one symbol in each there are two
  unsigned max_page_size = 0;  // as the linker is told it; 0: its own
};

inline constexpr unsigned kMostDepsLibs = 30'000;
inline constexpr unsigned kMostDeps = 20;
inline constexpr unsigned kDepsReach = 200;
// Libraries whose functions the program calls, at most.
inline constexpr unsigned kMostDepsCalled = 50;

const char* graph_name(DepsGraph graph);

// A file name that says all of the shape: "dag-1000x5-deps3-cxx".
std::string shape_name(const DepsShape& shape);

// Initial values of the variables of library `index`: the ordinary one, and the thread-local one.
// Never 0.
std::uint32_t deps_value(unsigned index);
std::uint32_t deps_tls_value(unsigned index);

class DepsClosure {
 public:
  explicit DepsClosure(const DepsShape& shape);

  const DepsShape& shape() const { return shape_; }
  // Numbers of the libraries that library `index` needs, each below `index`.
  const std::vector<unsigned>& needs(unsigned index) const { return needs_[index]; }
  // What the program itself needs: what no library needs. Ascending.
  const std::vector<unsigned>& roots() const { return roots_; }
  // Those of them whose functions it calls, in this order.
  const std::vector<unsigned>& called() const { return called_; }
  // What it prints if it is linked as it should be.
  std::uint32_t checksum() const;

 private:
  std::uint32_t leaf(unsigned index, std::uint32_t x) const;
  std::uint32_t function(unsigned index, unsigned number, std::uint32_t x) const;

  DepsShape shape_;
  std::vector<std::vector<unsigned>> needs_;
  std::vector<unsigned> roots_;
  std::vector<unsigned> called_;
};

// The function (1 to functions - 1) of a library that calls its dependency `which` (from 0).
unsigned deps_caller_of(const DepsShape& shape, unsigned which);

// How the strings are called that each library's table points to; its name is as long as this.
inline constexpr unsigned kDepsEvenLength = 4;
inline constexpr unsigned kDepsOddLength = 3;

}  // namespace prewarm::cli

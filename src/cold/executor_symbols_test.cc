// SPDX-License-Identifier: MIT
//
// The executor runs beside the threads of its caller, in their memory: what its object files need
// from outside, and what they could write to, is an exact list.
#include <cxxabi.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "os/testing_object_file.h"

namespace prewarm::cold {
namespace {

using Names = os::Names;
using os::ObjectFile;

class ExecutorFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::istringstream paths(PREWARM_TEST_EXECUTOR);
    for (std::string path; std::getline(paths, path, '|');) {
      files_.emplace_back(path);
      ASSERT_TRUE(files_.back().valid()) << path;
    }
    ASSERT_GE(files_.size(), 4U);
  }

  Names all(bool defined) const {
    Names names;
    for (const ObjectFile& file : files_) names.merge(file.symbols(defined));
    return names;
  }

  std::vector<ObjectFile> files_;
};

TEST_F(ExecutorFiles, NeedNothingFromOutside) {
  Names needed = all(false);
  for (const std::string& name : all(true)) needed.erase(name);
  // The linker's own: how position-independent code says where the task's first function is.
  EXPECT_EQ(needed, Names{"_GLOBAL_OFFSET_TABLE_"});
}

// Nothing but this may be called from elsewhere: who adds a way into them thinks of what they are.
TEST_F(ExecutorFiles, ShowTheseFunctionsOnly) {
  Names functions;
  for (const std::string& name : all(true)) {
    char* plain = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, nullptr);
    const std::string text = plain == nullptr ? name : plain;
    std::free(plain);
    functions.insert(text.substr(0, text.find('(')));
  }
  EXPECT_EQ(functions,
            (Names{"prewarm::cold::clone3_task", "prewarm::cold::clone_task",
                   "prewarm::cold::executor::close_range", "prewarm::cold::executor::duplicate",
                   "prewarm::cold::executor::execute", "prewarm::cold::executor::keep_only",
                   "prewarm::cold::executor::open_at", "prewarm::cold::executor::write_file",
                   "prewarm::cold::libc::perform", "prewarm::cold::run_chain"}));
}

// Thread-local data would be the caller's, and statics everybody's.
TEST_F(ExecutorFiles, HaveNothingThatCanBeWritten) {
  for (const ObjectFile& file : files_) EXPECT_EQ(file.writable(), Names{});
}

}  // namespace
}  // namespace prewarm::cold

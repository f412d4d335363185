// SPDX-License-Identifier: MIT
//
// For tests only: libraries and programs that are made by the compiler, in a directory of the test.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "os/testing.h"
#include "prewarm/command.h"

namespace prewarm::image {

inline std::string rpath(const std::string& text) {
  return "-Wl,--disable-new-dtags,-rpath," + text;
}
inline std::string runpath(const std::string& text) {
  return "-Wl,--enable-new-dtags,-rpath," + text;
}
inline std::string soname(const std::string& text) { return "-Wl,-soname," + text; }

class LibraryCase : public ::testing::Test {
 protected:
  using Options = std::vector<std::string>;

  const std::string& directory() const { return temp_.path(); }
  std::string at(const std::string& name) const { return temp_ / name; }

  void library(const std::string& path, const Options& options) const {
    Options all{"-shared", "-o", at(path), "-x", "c", source(""), "-x", "none"};
    all.insert(all.end(), options.begin(), options.end());
    build(path, all);
  }
  void program(const std::string& path, const Options& options) const {
    Options all{"-o", at(path), "-x", "c", source("int main(void) { return 0; }"), "-x", "none"};
    all.insert(all.end(), options.begin(), options.end());
    build(path, all);
  }

 private:
  std::string source(const std::string& text) const {
    const std::string path = at("source.c");
    os::write_file(path, text);
    return path;
  }
  void build(const std::string& path, const Options& options) const {
    std::filesystem::create_directories(std::filesystem::path(at(path)).parent_path());
    Command command("gcc");
    command.arg("-Wl,--no-as-needed").arg("-Wl,--allow-shlib-undefined");
    for (const std::string& option : options) command.arg(option);
    const auto output = command.capture();
    ASSERT_TRUE(output.has_value() && output->success()) << path << ": " << output->err;
  }

  os::TempDirectory temp_;
};

}  // namespace prewarm::image

// SPDX-License-Identifier: MIT
//
// For tests only: a LaunchRequest that owns what it refers to.
#pragma once

#include <fcntl.h>

#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "launch/reason.h"
#include "launch/request.h"
#include "os/fd.h"

namespace prewarm::launch {

// For GoogleTest's messages.
inline void PrintTo(Reason reason, std::ostream* out) { *out << reason_name(reason); }

// Null-terminated pointers to the strings, which must stay as they are.
inline std::vector<char*> pointers_to(std::vector<std::string>& strings) {
  std::vector<char*> row;
  row.reserve(strings.size() + 1);
  for (auto& s : strings) row.push_back(s.data());
  row.push_back(nullptr);
  return row;
}

class TestRequest {
 public:
  std::string path;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::vector<Descriptor> descriptors;
  std::vector<SetUp> set_up;
  os::Fd cwd{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  mode_t umask = 022;
  std::uint64_t signal_mask = 0;
  std::uint64_t signal_ignored = 0;
  std::optional<pid_t> process_group;
  std::uint32_t first_argument = 0;

  TestRequest() = default;
  // The program at `command[0]`, called by that name.
  explicit TestRequest(std::vector<std::string> command)
      : path(command.empty() ? "" : command[0]), argv(std::move(command)) {}

  // Valid until this object is changed.
  const LaunchRequest& get() {
    argv_ = pointers_to(argv);
    env_ = pointers_to(env);
    request_.path = path.c_str();
    request_.argv = argv_.data();
    request_.env = env_.data();
    request_.descriptors = descriptors;
    request_.cwd = cwd.get();
    request_.umask = umask;
    request_.signal_mask = signal_mask;
    request_.signal_ignored = signal_ignored;
    request_.process_group = process_group;
    request_.set_up = set_up;
    request_.first_argument = first_argument;
    return request_;
  }

  // Sources in the order in which they travel: the targets', then the working directory.
  std::vector<int> sources() const {
    std::vector<int> fds;
    for (const auto& d : descriptors) fds.push_back(d.source);
    fds.push_back(cwd.get());
    return fds;
  }

 private:
  std::vector<char*> argv_;
  std::vector<char*> env_;
  LaunchRequest request_;
};

inline SetUp set_up_open(int fd, std::string path, int flags, mode_t mode = 0666,
                         std::string error_prefix = "test: ") {
  return {OperationKind::open, fd, -1, flags, mode, std::move(path), std::move(error_prefix)};
}
inline SetUp set_up_dup(int other, int fd) { return {OperationKind::dup, fd, other, 0, 0, "", ""}; }
inline SetUp set_up_close(int fd) { return {OperationKind::close, fd, -1, 0, 0, "", ""}; }

inline std::uint64_t signal_bit(int signal) { return std::uint64_t{1} << (signal - 1); }

// `count` NUL-terminated strings, back to back.
inline std::vector<std::string> strings_at(const char* at, std::uint32_t count) {
  std::vector<std::string> strings;
  for (std::uint32_t i = 0; i < count; ++i) {
    strings.emplace_back(at);
    at += strings.back().size() + 1;
  }
  return strings;
}

}  // namespace prewarm::launch

// SPDX-License-Identifier: MIT
#include "coproc/ready_command.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "os/fd.h"
#include "os/program.h"
#include "os/self.h"

namespace prewarm::coproc {
namespace {

// Empty: there is no such command.
std::string find_command(const std::string& name, std::string_view path) {
  if (name.empty()) return {};
  const std::string found = os::find_program(name, path);
  return os::is_program(found) ? os::absolute_path(found) : std::string();
}

// The words of a script's first line as the kernel takes it: the interpreter, and the rest of the
// line as one argument. None: it is no script.
std::vector<std::string> first_line(const std::string& file) {
  char head[256];  // BINPRM_BUF_SIZE
  const os::Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  const ssize_t n = fd.valid() ? ::read(fd.get(), head, sizeof head) : -1;
  std::string_view line(head, n < 0 ? 0 : static_cast<std::size_t>(n));
  if (!line.starts_with("#!")) return {};
  line.remove_prefix(2);
  const auto end = line.find('\n');
  if (end == std::string_view::npos) return {};  // it is cut off, or has no end
  line = line.substr(0, end);
  constexpr std::string_view kBlanks = " \t";
  const auto trim = [&] {
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    while (!line.empty() && kBlanks.find(line.back()) != std::string_view::npos) {
      line.remove_suffix(1);
    }
  };
  trim();
  const auto blank = line.find_first_of(kBlanks);
  std::vector<std::string> words{std::string(line.substr(0, blank))};
  if (blank != std::string_view::npos) {
    line.remove_prefix(blank);
    trim();
    words.emplace_back(line);
  }
  return words[0].empty() ? std::vector<std::string>() : words;
}

bool is_env(const std::vector<std::string>& line) {
  return line.size() == 2 && line[0].ends_with("/env") && !line[1].starts_with('-') &&
         line[1].find_first_of(" \t=") == std::string::npos;
}

}  // namespace

std::vector<std::string> ReadyCommand::with(const std::vector<std::string>& arguments) const {
  std::vector<std::string> all(words.begin(), words.begin() + static_cast<long>(kept));
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

std::vector<std::string> ReadyCommand::to_start(const std::vector<std::string>& arguments) const {
  // The kernel puts the words in front of a script itself, and its name in the place of the first.
  if (kept == 0 || start != program) return arguments;
  std::vector<std::string> all = with(arguments);
  if (kept < words.size()) all[kept] = words[kept];
  return all;
}

os::Result<ReadyCommand> resolve_ready_command(const std::vector<std::string>& command,
                                               const char* path, std::optional<std::size_t> keep) {
  const std::string file = find_command(command[0], path);
  if (file.empty()) return os::failed_with(ENOENT, "find", command[0]);
  ReadyCommand found;
  found.program = found.start = file;
  found.words = command;
  found.command = command;
  found.path = path;
  found.keep = keep;
  found.kept = std::min(keep.value_or(command.size() - 1), command.size());
  const auto line = first_line(file);
  if (line.empty()) return found;
  found.kept += line.size();
  found.words[0] = file;
  found.words.insert(found.words.begin(), line.begin(), line.end());
  if (is_env(line)) {
    // Which becomes the other program itself: the name of the process is that program's then.
    found.words.erase(found.words.begin());
    --found.kept;
    found.program = found.start = find_command(line[1], path);
  } else {
    found.program = line[0];
  }
  if (!os::is_program(found.program)) return os::failed_with(ENOENT, "find", found.words[0]);
  return found;
}

}  // namespace prewarm::coproc

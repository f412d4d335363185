// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <wchar.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "observe.h"
#include "proc.h"

namespace mirror {
namespace {

using FileId = std::pair<dev_t, ino_t>;

// Names for things whose numbers mean nothing: the first one seen is 1, the next 2, and so on.
class Ordinals {
 public:
  std::string name(const std::string& kind, const FileId& id) {
    auto& numbers = numbers_[kind];
    const auto found = numbers.try_emplace(id, numbers.size() + 1).first;
    return kind + " #" + std::to_string(found->second);
  }

 private:
  std::map<std::string, std::map<FileId, std::size_t>> numbers_;
};

std::vector<int> open_descriptors() {
  std::vector<int> numbers;
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) {
    for (int fd = 0; fd < 1024; ++fd) {
      if (fcntl(fd, F_GETFD) >= 0) numbers.push_back(fd);
    }
    return numbers;
  }
  while (const dirent* const entry = readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    const int fd = std::atoi(entry->d_name);
    if (fd != dirfd(directory)) numbers.push_back(fd);
  }
  closedir(directory);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::string target_text(int fd, const struct stat& status, Ordinals& ordinals) {
  const auto link = read_link(("/proc/self/fd/" + std::to_string(fd)).c_str());
  const FileId id{status.st_dev, status.st_ino};
  if (S_ISFIFO(status.st_mode)) {
    const bool unnamed = !link || link->starts_with("pipe:");
    return ordinals.name("pipe", id) + (unnamed ? "" : " " + escape(*link));
  }
  if (S_ISSOCK(status.st_mode)) return ordinals.name("socket", id);
  return (link ? escape(*link) : error_text(errno)) + ", " + ordinals.name("file", id);
}

std::string access_text(int flags) {
  switch (flags & O_ACCMODE) {
    case O_RDONLY:
      return "read";
    case O_WRONLY:
      return "write";
    default:
      return "read-write";
  }
}

// fdinfo's "lock:" lines, without the process id and inode in them.
std::string locks_text(const std::string& fdinfo) {
  std::istringstream lines(fdinfo);
  std::string line;
  std::string text;
  while (std::getline(lines, line)) {
    if (!line.starts_with("lock:")) continue;
    std::istringstream words(line);
    std::string skipped, type, advisory, access, pid, inode, begin, end;
    words >> skipped >> skipped >> type >> advisory >> access >> pid >> inode >> begin >> end;
    if (!text.empty()) text += "; ";
    text += type;
    for (const auto& word : {advisory, access, begin, end}) text.append(" ").append(word);
  }
  return text.empty() ? "none" : text;
}

// Whether two descriptors share one open file (offset and flags), or only name the same file.
std::string sharing_text(int fd, const std::vector<int>& all) {
  const pid_t self = getpid();
  for (const int other : all) {
    if (other >= fd) break;
    const long order = syscall(SYS_kcmp, self, self, KCMP_FILE, other, fd);
    if (order < 0) return error_text(errno);
    if (order == 0) return "descriptor " + std::to_string(other);
  }
  return "none before";
}

void observe_descriptor(Report& report, int fd, const std::vector<int>& all, Ordinals& ordinals) {
  const std::string key = "fd." + padded(static_cast<unsigned long>(fd), 4);
  struct stat status;
  if (fstat(fd, &status) != 0) {
    report.add_error(key, errno);
    return;
  }
  const int flags = fcntl(fd, F_GETFL);
  const auto fdinfo = read_file(("/proc/self/fdinfo/" + std::to_string(fd)).c_str()).value_or("");
  report.add(key + ".target", target_text(fd, status, ordinals));
  report.add(key + ".mode", octal(status.st_mode) + " rdev " + hexadecimal(status.st_rdev));
  report.add(key + ".access", access_text(flags));
  report.add(key + ".flags", hexadecimal(static_cast<unsigned>(flags)));
  report.add_yes_no(key + ".cloexec", (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  report.add(key + ".offset", field_value(fdinfo, "pos").value_or("unknown"));
  report.add(key + ".locks", locks_text(fdinfo));
  report.add(key + ".shares", sharing_text(fd, all));
  report.add_number(key + ".owner", fcntl(fd, F_GETOWN));
  report.add_yes_no(key + ".terminal", isatty(fd) == 1);
}

void observe_stream(Report& report, const char* name, FILE* stream) {
  const std::string key = std::string("stdio.") + name;
  report.add_number(key + ".fileno", fileno(stream));
  report.add_number(key + ".buffer_size", static_cast<long long>(__fbufsize(stream)));
  report.add_number(key + ".pending", static_cast<long long>(__fpending(stream)));
  report.add_yes_no(key + ".line_buffered", __flbf(stream) != 0);
  report.add_number(key + ".orientation", fwide(stream, 0));
  report.add_yes_no(key + ".eof_or_error", feof(stream) != 0 || ferror(stream) != 0);
}

}  // namespace

void observe_directories(Report& report) {
  char path[PATH_MAX];
  const char* const cwd = getcwd(path, sizeof path);
  const int cwd_error = errno;
  report.add("cwd.getcwd", cwd != nullptr ? escape(cwd) : error_text(cwd_error));
  report.add("cwd.proc", link_value("/proc/self/cwd"));
  struct stat here;
  struct stat named;
  if (stat(".", &here) != 0) {
    report.add_error("cwd.stat", errno);
  } else if (cwd == nullptr || stat(cwd, &named) != 0) {
    report.add("cwd.stat", "mode " + octal(here.st_mode) + ", not reachable by name");
  } else {
    const bool same = here.st_dev == named.st_dev && here.st_ino == named.st_ino;
    report.add("cwd.stat",
               std::string(same ? "the directory" : "not the directory") + " of that name");
  }
  report.add("root.proc", link_value("/proc/self/root"));
  if (stat("/", &here) == 0) {
    report.add("root.id", hexadecimal(here.st_dev) + " " + std::to_string(here.st_ino));
  }
  const mode_t mask = umask(0);
  umask(mask);
  report.add("umask", octal(mask));
}

void observe_descriptors(Report& report) {
  const auto all = open_descriptors();
  Ordinals ordinals;
  std::string list;
  for (const int fd : all) {
    list += (list.empty() ? "" : " ") + std::to_string(fd);
    observe_descriptor(report, fd, all, ordinals);
  }
  report.add("fd.list", list);
}

void observe_standard_streams(Report& report) {
  observe_stream(report, "stdin", stdin);
  observe_stream(report, "stdout", stdout);
  observe_stream(report, "stderr", stderr);
}

}  // namespace mirror

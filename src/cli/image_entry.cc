// SPDX-License-Identifier: MIT
#include "cli/image_entry.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cli/commands.h"
#include "cli/locate.h"
#include "image/eligible.h"
#include "image/entry.h"
#include "image/memfd.h"
#include "os/clock.h"
#include "os/fd.h"

namespace prewarm::cli {
namespace {

using image::EntryPlaces;
using image::Refusal;

constexpr off_t kMostEntryBytes = 256 << 10;  // no entry is larger

// All of a small file; empty: it is large, or can't be read.
std::string read_small(const std::string& path) {
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat s{};
  if (!file.valid() || ::fstat(file.get(), &s) != 0 || !S_ISREG(s.st_mode) ||
      s.st_size > kMostEntryBytes) {
    return {};
  }
  std::string bytes(static_cast<std::size_t>(s.st_size), '\0');
  const ssize_t n = ::pread(file.get(), bytes.data(), bytes.size(), 0);
  return n == s.st_size ? bytes : std::string();
}

// Where an entry has its places; npos: it isn't one.
std::size_t find_places(const std::string& bytes) {
  const std::string_view magic(image::kEntryMagic, sizeof image::kEntryMagic);
  const auto at = bytes.find(magic);
  return at != std::string::npos && bytes.size() - at >= sizeof(EntryPlaces) ? at
                                                                             : std::string::npos;
}

bool put_path(char (&place)[image::kEntryPathBytes], const std::string& path) {
  if (path.size() >= sizeof place) return false;
  std::memcpy(place, path.c_str(), path.size() + 1);
  return true;
}

// As the entry will look at it.
bool describe_restorer(const std::string& path, EntryPlaces& places) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0) return false;
  places.restorer_device = (std::uint64_t{::major(s.st_dev)} << 32) | ::minor(s.st_dev);
  places.restorer_inode = s.st_ino;
  places.restorer_size = static_cast<std::uint64_t>(s.st_size);
  places.restorer_changed_ns = os::ns_of(s.st_ctim);
  return true;
}

// GCC's drivers look for the compilers beside what argv[0] leads to, along PATH.
bool looks_beside_name(const std::string& program) {
  const os::Fd file(::open(program.c_str(), O_RDONLY | O_CLOEXEC));
  const auto mapping = image::Mapping::of(file);
  if (!mapping) return false;
  const auto bytes = mapping->bytes();
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())
      .contains("GCC_EXEC_PREFIX");
}

os::Result<std::string> make_entry(const std::string& program, bool by_path) {
  const std::string original = find_entry_template();
  const std::string restorer = find_restorer();
  if (original.empty()) return os::failed_with(ENOENT, "find", "prewarm-entry");
  if (restorer.empty()) return os::failed_with(ENOENT, "find", "libprewarm-restore.so");
  std::string bytes = read_small(original);
  const auto at = find_places(bytes);
  if (at == std::string::npos) return os::failed_with(ENOEXEC, "use", original);
  EntryPlaces places{};
  std::memcpy(&places, bytes.data() + at, sizeof places);
  if (!put_path(places.program, program) || !put_path(places.restorer, restorer) ||
      !put_path(places.command, find_command())) {
    return os::failed_with(ENAMETOOLONG, "make an entry of", program);
  }
  if (by_path || looks_beside_name(program)) places.flags |= image::kEntryNamesPath;
  if (!describe_restorer(restorer, places)) return os::failed("look at", restorer);
  std::memcpy(bytes.data() + at, &places, sizeof places);
  return bytes;
}

// In a file of its own first, which then takes the name.
os::Result<void> write_program(const std::string& path, const std::string& bytes) {
  std::string temporary = path.substr(0, path.rfind('/')) + "/.prewarm-XXXXXX";
  os::Fd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.valid()) return os::failed("make a file in", path.substr(0, path.rfind('/')));
  const mode_t mask = ::umask(0);
  ::umask(mask);
  const bool written =
      ::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
      ::fchmod(file.get(), 0755 & ~mask) == 0;
  if (written && ::rename(temporary.c_str(), path.c_str()) == 0) return {};
  const int error = errno;
  ::unlink(temporary.c_str());
  return os::failed_with(error, "write", path);
}

os::Result<void> make_directories(const std::string& path) {
  for (auto at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) return os::failed("make", part);
    if (at == std::string::npos) return {};
  }
}

bool is_on_path(const std::string& directory) {
  const char* path = std::getenv("PATH");
  return path != nullptr && (":" + std::string(path) + ":").contains(":" + directory + ":");
}

std::string directory_of(const InstallOptions& options) {
  std::string directory =
      options.directory.empty() ? default_entry_directory() : absolute(options.directory);
  while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
  return directory;
}

struct Outcome {
  std::string program;  // as it was given
  std::string path;     // of the program
  std::string entry;
  std::string error;  // empty: done
  std::string refusal;
};

Outcome install(const std::string& name, const std::string& directory, bool by_path) {
  Outcome outcome{name, find_real_program(name), {}, {}, {}};
  if (outcome.path.empty()) {
    outcome.error = "there is no such program";
    return outcome;
  }
  if (const Refusal refusal = image::check_program(outcome.path); refusal != Refusal::none) {
    outcome.refusal = image::refusal_name(refusal);
    outcome.error = "no entry is made: " + std::string(image::refusal_sentence(refusal));
    return outcome;
  }
  outcome.entry = directory + outcome.path.substr(outcome.path.rfind('/'));
  struct stat there{};
  if (::lstat(outcome.entry.c_str(), &there) == 0 && !program_of_entry(outcome.entry)) {
    outcome.error = "no entry is made: " + outcome.entry + " is another program's file";
    return outcome;
  }
  const auto bytes = make_entry(outcome.path, by_path);
  const auto done = bytes ? write_program(outcome.entry, *bytes)
                          : os::Result<void>(std::unexpected(bytes.error()));
  if (!done) outcome.error = "no entry is made: " + done.error().message();
  return outcome;
}

Outcome uninstall(const std::string& name, const std::string& directory) {
  Outcome outcome{name, {}, directory + "/" + name.substr(name.rfind('/') + 1), {}, {}};
  const auto program = program_of_entry(outcome.entry);
  if (!program) {
    const bool is_there = ::access(outcome.entry.c_str(), F_OK) == 0;
    outcome.error = is_there ? outcome.entry + " isn't an entry, and stays"
                             : "there is no entry of it in " + directory;
    return outcome;
  }
  outcome.path = *program;
  if (::unlink(outcome.entry.c_str()) != 0) {
    outcome.error = "can't remove " + outcome.entry + ": " + std::strerror(errno);
  }
  return outcome;
}

void print_json(const std::vector<Outcome>& outcomes, const std::string& directory) {
  nlohmann::json entries = nlohmann::json::array();
  for (const Outcome& outcome : outcomes) {
    nlohmann::json entry = {{"program", outcome.program}, {"ok", outcome.error.empty()}};
    if (!outcome.path.empty()) entry["path"] = outcome.path;
    if (outcome.error.empty()) entry["entry"] = outcome.entry;
    if (!outcome.error.empty()) entry["error"] = outcome.error;
    if (!outcome.refusal.empty()) entry["refusal"] = outcome.refusal;
    entries.push_back(std::move(entry));
  }
  const nlohmann::json json = {
      {"directory", directory}, {"on_path", is_on_path(directory)}, {"entries", entries}};
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

int finish(const std::vector<Outcome>& outcomes) {
  for (const Outcome& outcome : outcomes) {
    if (!outcome.error.empty()) complain(outcome.program + ": " + outcome.error);
  }
  return std::ranges::all_of(outcomes, &std::string::empty, &Outcome::error) ? 0 : 1;
}

}  // namespace

std::string default_entry_directory() {
  const char* home = std::getenv("HOME");
  return home == nullptr || *home != '/' ? "" : std::string(home) + "/.local/lib/prewarm/bin";
}

std::optional<std::string> program_of_entry(const std::string& path) {
  const std::string bytes = read_small(path);
  const auto at = find_places(bytes);
  if (at == std::string::npos) return {};
  const char* const program = bytes.data() + at + offsetof(EntryPlaces, program);
  const std::string text(program, ::strnlen(program, image::kEntryPathBytes));
  // That of prewarm-entry itself has none.
  return text.empty() ? std::nullopt : std::optional(text);
}

std::string find_real_program(const std::string& name) {
  const std::string found = absolute(find_on_path(name));
  if (found.empty() || ::access(found.c_str(), F_OK) != 0) return {};
  return program_of_entry(found).value_or(found);
}

int image_install(const InstallOptions& options) {
  const std::string directory = directory_of(options);
  if (directory.empty()) {
    complain("$HOME isn't set: say where by --dir");
    return kUsageError;
  }
  if (const auto made = make_directories(directory); !made) {
    complain(made.error().message());
    return 1;
  }
  std::vector<Outcome> outcomes;
  for (const auto& name : options.programs)
    outcomes.push_back(install(name, directory, options.by_path));
  if (options.json) {
    print_json(outcomes, directory);
    return finish(outcomes);
  }
  bool any = false;
  for (const Outcome& outcome : outcomes) {
    if (!outcome.error.empty()) continue;
    any = true;
    fmt::print("{} starts {}\n", outcome.entry, outcome.path);
  }
  if (any && !is_on_path(directory)) {
    fmt::print("To use what is there, put it first on PATH:\n  PATH=\"{}:$PATH\"\n", directory);
  }
  return finish(outcomes);
}

int image_uninstall(const InstallOptions& options) {
  const std::string directory = directory_of(options);
  if (directory.empty()) {
    complain("$HOME isn't set: say where by --dir");
    return kUsageError;
  }
  std::vector<Outcome> outcomes;
  for (const auto& name : options.programs) outcomes.push_back(uninstall(name, directory));
  if (options.json) {
    print_json(outcomes, directory);
  } else {
    for (const Outcome& outcome : outcomes) {
      if (outcome.error.empty()) fmt::print("{} is removed\n", outcome.entry);
    }
  }
  return finish(outcomes);
}

}  // namespace prewarm::cli

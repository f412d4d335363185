// SPDX-License-Identifier: MIT
#include "image/closure.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "image/search_path.h"

namespace prewarm::image {
namespace {

constexpr char kPreloadPath[] = "/etc/ld.so.preload";
constexpr std::uint32_t kNobody = UINT32_MAX;

// Who needs what.
struct Reference {
  std::uint32_t by;
  std::string name;
};

// What came of looking for a library.
struct Attempt {
  enum class Outcome : std::uint8_t { found, missing, refused };
  Outcome outcome = Outcome::missing;
  FoundBy found_by = FoundBy::path;
  std::string path;
  FileContents contents;
  std::optional<ElfFile> elf;
  const char* problem = nullptr;         // if refused
  std::vector<std::uint32_t> tried;      // directories where it isn't
  std::vector<std::string> tried_paths;  // by a name of its own
};

// The state of one search: the objects found so far, and under which names they are known.
class Resolver {
 public:
  Resolver(const ClosureRequest& request, FileReader reader)
      : request_(request), directories_(*request.facts) {
    closure_.reader = std::move(reader);
  }
  os::Result<Closure> resolve();

 private:
  // What an object's search for others goes by.
  struct Paths {
    std::string origin;
    SearchList rpath;
    SearchList runpath;
    bool has_runpath = false;
  };
  enum class Next : std::uint8_t { done, go_on, next_list };

  std::optional<Error> add_program();
  std::optional<Error> find_loader();
  std::optional<Error> load_needed_by(std::uint32_t from, std::uint32_t to);
  std::optional<Error> settle(const Reference& reference, Attempt* attempt);
  std::uint32_t add(const std::string& name, std::uint32_t by, Attempt attempt);
  void prepare_paths(std::uint32_t index, const std::string& origin);
  std::optional<Error> references_of(std::uint32_t index, std::vector<Reference>& to);

  // These only read what is there: several may run at a time.
  Attempt look_for(const Reference& reference, unsigned lane);
  Next look_in_lists(const Reference& reference, Attempt& attempt, unsigned lane);
  Next look_in(const SearchList& list, FoundBy rule, const std::string& name, Attempt& attempt,
               unsigned lane);
  Next look_in_rpaths(const Reference& reference, Attempt& attempt, unsigned lane);
  Next look_in_cache(const Reference& reference, Attempt& attempt, unsigned lane);
  Next take(FileContents contents, std::string path, FoundBy rule, Attempt& attempt);

  void note_absent(const std::string& name, const Attempt& attempt);
  void report_directories();

  const ClosureRequest& request_;
  Directories directories_;
  SearchList library_path_;
  SearchList system_;
  Closure closure_;
  std::vector<Paths> paths_;  // of closure_.objects
  std::unordered_map<std::string, std::uint32_t> by_name_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> by_file_;
  Attempt loader_;  // until somebody needs it
  std::vector<std::string> loader_names_;
  std::uint32_t loader_index_ = kNobody;
  std::vector<std::vector<std::string>> absent_;                  // by directory
  std::map<std::string, std::vector<std::string>> absent_paths_;  // of names with a slash
};

bool has_slash(std::string_view name) { return name.find('/') != std::string_view::npos; }

// `path` from the root; empty if the current directory can't be told.
std::string absolute(const std::string& path) {
  char current[4096];
  if (path.starts_with('/')) return path;
  if (::getcwd(current, sizeof current) == nullptr) return {};
  return std::string(current) + "/" + path;
}

// ---- One search
// ----------------------------------------------------------------------------------

// What is to be done after a file was tried; if it is the library, it is read.
Resolver::Next Resolver::take(FileContents contents, std::string path, FoundBy rule,
                              Attempt& attempt) {
  if (contents.error == ENOENT || contents.error == EACCES) return Next::go_on;
  attempt.found_by = rule;
  attempt.path = std::move(path);
  attempt.contents = contents;
  attempt.outcome = Attempt::Outcome::refused;
  if (contents.error == EINVAL || contents.error == EAGAIN) {
    attempt.problem = "not a file that can be read";
    return Next::done;
  }
  if (contents.error != 0) {
    attempt.outcome = Attempt::Outcome::missing;
    return Next::next_list;
  }
  if (ElfFile::kind_of(contents.bytes) == Kind::other_machine) {
    attempt.outcome = Attempt::Outcome::missing;
    return Next::go_on;
  }
  Diagnostics diagnostics;
  attempt.elf = ElfFile::read(contents.bytes, diagnostics);
  if (attempt.elf) {
    attempt.outcome = Attempt::Outcome::found;
  } else {
    attempt.problem = diagnostics.problems().front().what;
  }
  return Next::done;
}

Resolver::Next Resolver::look_in(const SearchList& list, FoundBy rule, const std::string& name,
                                 Attempt& attempt, unsigned lane) {
  for (const std::uint32_t number : list) {
    const Directory& directory = directories_[number];
    std::string path = directory.path + name;
    const bool by_path = !directory.fd.valid();
    FileContents contents = closure_.reader.read(by_path ? AT_FDCWD : directory.fd.get(),
                                                 by_path ? path.c_str() : name.c_str(), lane);
    const Next next = take(contents, std::move(path), rule, attempt);
    if (next == Next::done) return next;
    attempt.tried.push_back(number);
    if (next == Next::next_list) break;
  }
  return Next::go_on;
}

Resolver::Next Resolver::look_in_rpaths(const Reference& reference, Attempt& attempt,
                                        unsigned lane) {
  if (paths_[reference.by].has_runpath) return Next::go_on;
  std::uint32_t at = reference.by;
  for (;;) {
    if (look_in(paths_[at].rpath, FoundBy::rpath, reference.name, attempt, lane) == Next::done) {
      return Next::done;
    }
    if (at == 0) return Next::go_on;
    at = closure_.objects[at].needed_by;
  }
}

Resolver::Next Resolver::look_in_cache(const Reference& reference, Attempt& attempt,
                                       unsigned lane) {
  if (request_.cache == nullptr) return Next::go_on;
  const auto cached = request_.cache->find(reference.name);
  if (!cached) return Next::go_on;
  if ((closure_.objects[reference.by].elf.flags_1() & DF_1_NODEFLIB) != 0) {
    for (const std::string& directory : request_.facts->system_directories) {
      if (cached->starts_with(directory)) return Next::go_on;
    }
  }
  std::string path(*cached);
  const FileContents contents = closure_.reader.read(AT_FDCWD, path.c_str(), lane);
  if (take(contents, path, FoundBy::cache, attempt) == Next::done) return Next::done;
  attempt.tried_paths.push_back(std::move(path));
  return Next::go_on;
}

Resolver::Next Resolver::look_in_lists(const Reference& reference, Attempt& attempt,
                                       unsigned lane) {
  const Paths& own = paths_[reference.by];
  const std::string& name = reference.name;
  if (look_in_rpaths(reference, attempt, lane) == Next::done ||
      look_in(library_path_, FoundBy::library_path, name, attempt, lane) == Next::done ||
      look_in(own.runpath, FoundBy::runpath, name, attempt, lane) == Next::done ||
      look_in_cache(reference, attempt, lane) == Next::done) {
    return Next::done;
  }
  if ((closure_.objects[reference.by].elf.flags_1() & DF_1_NODEFLIB) != 0) return Next::go_on;
  return look_in(system_, FoundBy::system_directory, name, attempt, lane);
}

Attempt Resolver::look_for(const Reference& reference, unsigned lane) {
  Attempt attempt;
  if (!has_slash(reference.name)) {
    look_in_lists(reference, attempt, lane);
    return attempt;
  }
  const FileContents contents = closure_.reader.read(AT_FDCWD, reference.name.c_str(), lane);
  if (take(contents, reference.name, FoundBy::path, attempt) != Next::done) {
    attempt.tried_paths.push_back(reference.name);
  }
  return attempt;
}

// ---- The order
// -----------------------------------------------------------------------------------

void Resolver::prepare_paths(std::uint32_t index, const std::string& origin) {
  const ElfFile& elf = closure_.objects[index].elf;
  Paths& paths = paths_[index];
  paths.origin = origin;
  if (const auto runpath = elf.runpath()) {
    paths.has_runpath = true;
    paths.runpath = directories_.list_of(*runpath, ":", origin);
  } else if (const auto rpath = elf.rpath()) {
    paths.rpath = directories_.list_of(*rpath, ":", origin);
  }
}

std::uint32_t Resolver::add(const std::string& name, std::uint32_t by, Attempt attempt) {
  const auto index = static_cast<std::uint32_t>(closure_.objects.size());
  if (!attempt.path.starts_with('/')) closure_.needs_working_directory = true;
  const std::string base = absolute(attempt.path);
  const auto soname = attempt.elf->soname();
  by_name_.try_emplace(name, index);
  by_name_.try_emplace(attempt.path, index);
  if (soname) by_name_.try_emplace(std::string(*soname), index);
  const os::FileIdentity& file = attempt.contents.identity;
  if (attempt.found_by != FoundBy::loader) by_file_.try_emplace({file.device, file.inode}, index);
  closure_.objects.push_back(
      {std::move(attempt.path), name, by, attempt.found_by, file, std::move(*attempt.elf), {}});
  paths_.emplace_back();
  if (closure_.objects.back().elf.tag(DT_NEEDED)) prepare_paths(index, origin_of(base));
  return index;
}

std::optional<Error> Resolver::add_program() {
  const std::string& path = request_.program;
  const os::Fd fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd.valid()) return Error{"open", path, errno};
  Attempt attempt;
  const FileContents contents = closure_.reader.read(AT_FDCWD, path.c_str());
  if (contents.error != 0) return Error{"read", path, contents.error};
  take(contents, path, FoundBy::program, attempt);
  if (!attempt.elf) {
    return Error{attempt.problem != nullptr ? attempt.problem : "not for this machine", path, 0};
  }
  if (!attempt.elf->interpreter()) return Error{"has no dynamic linker", path, 0};
  const auto soname = attempt.elf->soname();
  const os::FileIdentity file = contents.identity;
  closure_.objects.push_back({path, path, 0, FoundBy::program, file, std::move(*attempt.elf), {}});
  paths_.emplace_back();
  if (soname) by_name_.try_emplace(std::string(*soname), 0);
  // $ORIGIN of a program is where /proc/self/exe says it is.
  char real[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  const ssize_t size = ::readlink(link.c_str(), real, sizeof real);
  if (size <= 0) return Error{"find the directory of", path, errno};
  const std::string origin = origin_of({real, static_cast<std::size_t>(size)});
  // Tokens in LD_LIBRARY_PATH are the program's.
  library_path_ = directories_.list_of(request_.library_path, ":;", origin);
  system_ = directories_.system_list();
  prepare_paths(0, origin);
  return {};
}

std::optional<Error> Resolver::find_loader() {
  const std::string path(*closure_.objects[0].elf.interpreter());
  const FileContents contents = closure_.reader.read(AT_FDCWD, path.c_str());
  if (contents.error != 0) return Error{"read", path, contents.error};
  take(contents, path, FoundBy::loader, loader_);
  if (!loader_.elf) return Error{"a dynamic linker for another machine", path, 0};
  loader_names_.push_back(path);
  if (const auto soname = loader_.elf->soname()) loader_names_.emplace_back(*soname);
  return {};
}

std::optional<Error> Resolver::references_of(std::uint32_t index, std::vector<Reference>& to) {
  const ElfFile& elf = closure_.objects[index].elf;
  if (elf.tag(DT_FILTER) || elf.tag(DT_AUXILIARY)) {
    return Error{"filters others, which isn't supported", closure_.objects[index].path, 0};
  }
  for (const std::string_view name : elf.needed()) {
    const auto expanded = expand_tokens(name, paths_[index].origin, *request_.facts);
    if (!expanded || expanded->empty()) {
      return Error{"has an empty name among what it needs", closure_.objects[index].path, 0};
    }
    to.push_back({index, *expanded});
  }
  return {};
}

// Looks for all libraries that objects from `from` on need, several at a time; then goes through
// them in ld.so's order, as it depends on what was loaded before whether one is looked for at all.
std::optional<Error> Resolver::load_needed_by(std::uint32_t from, std::uint32_t to) {
  std::vector<Reference> references;
  for (std::uint32_t i = from; i < to; ++i) {
    if (auto error = references_of(i, references)) return error;
  }
  std::unordered_map<std::string_view, std::size_t> task_of;  // by name
  std::vector<std::size_t> tasks;                             // indices of references
  for (std::size_t i = 0; i < references.size(); ++i) {
    const std::string& name = references[i].name;
    if (by_name_.contains(name) ||
        std::find(loader_names_.begin(), loader_names_.end(), name) != loader_names_.end()) {
      continue;
    }
    if (task_of.try_emplace(name, tasks.size()).second) tasks.push_back(i);
  }
  std::vector<Attempt> attempts(tasks.size());
  closure_.reader.each(tasks.size(), [&](std::size_t i, unsigned lane) {
    attempts[i] = look_for(references[tasks[i]], lane);
  });
  for (std::size_t i = 0; i < references.size(); ++i) {
    const auto task = task_of.find(references[i].name);
    const bool own = task != task_of.end() && tasks[task->second] == i;
    if (auto error = settle(references[i], own ? &attempts[task->second] : nullptr)) return error;
  }
  return {};
}

// `attempt`: if it was already looked for on behalf of this reference.
std::optional<Error> Resolver::settle(const Reference& reference, Attempt* attempt) {
  auto& needed = closure_.objects[reference.by].needed;
  if (const auto known = by_name_.find(reference.name); known != by_name_.end()) {
    needed.push_back(known->second);
    return {};
  }
  if (std::find(loader_names_.begin(), loader_names_.end(), reference.name) !=
      loader_names_.end()) {
    loader_index_ = add(reference.name, reference.by, std::move(loader_));
    for (const std::string& name : loader_names_) by_name_.try_emplace(name, loader_index_);
    loader_names_.clear();
    closure_.objects[reference.by].needed.push_back(loader_index_);
    return {};
  }
  Attempt mine = attempt != nullptr ? std::move(*attempt) : look_for(reference, 0);
  note_absent(reference.name, mine);
  if (mine.outcome == Attempt::Outcome::missing) {
    closure_.missing.push_back({reference.name, reference.by});
    return {};
  }
  if (mine.outcome == Attempt::Outcome::refused) return Error{mine.problem, mine.path, 0};
  const os::FileIdentity& file = mine.contents.identity;
  if (const auto same = by_file_.find({file.device, file.inode}); same != by_file_.end()) {
    by_name_.try_emplace(reference.name, same->second);
    needed.push_back(same->second);
    return {};
  }
  if (mine.elf->is_executable() || (mine.elf->flags_1() & DF_1_PIE) != 0) {
    return Error{"is a program, not a library", mine.path, 0};
  }
  const std::uint32_t index = add(reference.name, reference.by, std::move(mine));
  closure_.objects[reference.by].needed.push_back(index);
  return {};
}

// ---- What isn't there
// ----------------------------------------------------------------------------

void Resolver::note_absent(const std::string& name, const Attempt& attempt) {
  absent_.resize(directories_.size());
  for (const std::uint32_t number : attempt.tried) absent_[number].push_back(name);
  for (const std::string& path : attempt.tried_paths) {
    const auto slash = path.rfind('/') + 1;
    absent_paths_[path.substr(0, slash)].push_back(path.substr(slash));
  }
}

void Resolver::report_directories() {
  absent_.resize(directories_.size());
  for (std::uint32_t i = 0; i < directories_.size(); ++i) {
    LookedIn looked{directories_[i].path, directories_[i].exists, std::move(absent_[i])};
    if (const auto more = absent_paths_.find(looked.path); more != absent_paths_.end()) {
      looked.absent.insert(looked.absent.end(), more->second.begin(), more->second.end());
      absent_paths_.erase(more);
    }
    closure_.looked_in.push_back(std::move(looked));
  }
  for (auto& [path, names] : absent_paths_) {
    const bool exists = ::access(path.c_str(), F_OK) == 0;
    closure_.looked_in.push_back({path, exists, std::move(names)});
    if (!path.starts_with('/')) closure_.needs_working_directory = true;
  }
  for (LookedIn& looked : closure_.looked_in) {
    std::sort(looked.absent.begin(), looked.absent.end());
    const auto end = std::unique(looked.absent.begin(), looked.absent.end());
    looked.absent.erase(end, looked.absent.end());
  }
  if (directories_.any_relative()) closure_.needs_working_directory = true;
}

os::Result<Closure> Resolver::resolve() {
  if (auto error = add_program()) return std::unexpected(std::move(*error));
  if (auto error = find_loader()) return std::unexpected(std::move(*error));
  for (std::uint32_t done = 0; done < closure_.objects.size();) {
    const auto end = static_cast<std::uint32_t>(closure_.objects.size());
    if (auto error = load_needed_by(done, end)) return std::unexpected(std::move(*error));
    done = end;
  }
  if (!loader_names_.empty()) add(loader_names_.front(), 0, std::move(loader_));
  closure_.preloads = ::access(kPreloadPath, F_OK) == 0;
  report_directories();
  return std::move(closure_);
}

}  // namespace

const char* name_of(FoundBy rule) {
  switch (rule) {
    case FoundBy::program:
      return "program";
    case FoundBy::loader:
      return "dynamic linker";
    case FoundBy::rpath:
      return "RPATH";
    case FoundBy::library_path:
      return "LD_LIBRARY_PATH";
    case FoundBy::runpath:
      return "RUNPATH";
    case FoundBy::cache:
      return "ld.so.cache";
    case FoundBy::system_directory:
      return "system directory";
    case FoundBy::path:
      return "path";
  }
  return "";
}

os::Result<Closure> resolve_closure(const ClosureRequest& request, FileReader reader) {
  return Resolver(request, std::move(reader)).resolve();
}

}  // namespace prewarm::image

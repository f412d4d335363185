// SPDX-License-Identifier: MIT
#include "cli/bench_deps_make.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "cli/bench_deps_jobs.h"
#include "cli/bench_deps_linker.h"
#include "cli/bench_deps_source.h"
#include "cli/locate.h"
#include "os/fd.h"

namespace prewarm::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;  // of sets; raised when others are made of the same shape
constexpr const char* kMaking = ".making-";
constexpr const char* kNoAllInOne = "why-no-static-program";

std::string set_name(const DepsShape& shape, DepsLibc libc) {
  return fmt::format("deps{}-{}{}", kFormat, shape_name(shape),
                     libc == DepsLibc::musl ? "-musl" : "");
}

std::string library_name(unsigned index) { return fmt::format("libp{}.so", index); }

// ---- Files -------------------------------------------------------------------------------------

os::Result<void> write_file(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes << std::flush;
  if (!file) return os::failed("write", path);
  return {};
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A directory for what isn't whole yet; it goes with this object unless it has been kept. It is
// locked, by which others know that somebody works in it.
class Workshop {
 public:
  static os::Result<Workshop> open(const std::string& cache, const std::string& name) {
    std::string path = cache + "/" + name + kMaking + "XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return os::failed("make a directory in", cache);
    os::Fd lock(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lock.valid() || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      return os::failed("lock", path);
    }
    return Workshop(std::move(path), std::move(lock));
  }
  Workshop(Workshop&& other) noexcept
      : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  Workshop& operator=(Workshop&&) = delete;
  ~Workshop() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  // Somebody else may have been faster; theirs is as good.
  os::Result<void> keep_as(const std::string& path) {
    // mkdtemp is for secrets, which this isn't.
    if (::chmod(path_.c_str(), 0755) != 0) return os::failed("chmod", path_);
    if (::rename(path_.c_str(), path.c_str()) == 0) {
      path_.clear();
    } else if (errno != EEXIST && errno != ENOTEMPTY) {
      return os::failed("rename", path_);
    }
    return {};
  }

 private:
  Workshop(std::string path, os::Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  os::Fd lock_;
};

// What interrupted runs have left: nobody holds its lock.
void remove_abandoned(const std::string& cache) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(cache, ignored)) {
    if (entry.path().filename().string().find(kMaking) == std::string::npos) continue;
    const os::Fd lock(::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!lock.valid() || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
    fs::remove_all(entry.path(), ignored);
  }
}

// Takes away what is abandoned, and makes a new one; one at a time, as a workshop that isn't locked
// yet looks abandoned.
os::Result<Workshop> open_workshop(const std::string& cache, const std::string& name) {
  const os::Fd gate(::open(cache.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!gate.valid() || ::flock(gate.get(), LOCK_EX) != 0) return os::failed("lock", cache);
  remove_abandoned(cache);
  return Workshop::open(cache, name);
}

// ---- Making ------------------------------------------------------------------------------------

class Maker {
 public:
  Maker(const DepsClosure& closure, DepsLibc libc, const Workshop& at)
      : closure_(closure), shape_(closure.shape()), libc_(libc), at_(at), log_(at / "log") {
    if (libc == DepsLibc::musl) {
      compiler_ = "musl-gcc";
    } else {
      compiler_ = shape_.cxx ? "g++" : "gcc";
    }
    if (shape_.max_page_size != 0) {
      page_size_ = fmt::format("-Wl,-z,max-page-size={}", shape_.max_page_size);
    }
  }

  os::Result<void> objects();
  os::Result<void> libraries();
  os::Result<void> program();
  // That it can't be made is written down, and no error.
  os::Result<void> all_in_one();
  // Takes away what only was on the way. The linker's words, if it has failed, are in the error.
  os::Result<void> finish(os::Result<void> made);

 private:
  os::Result<std::string> compile(const std::string& name, const std::string& source,
                                  const char* code_model);
  os::Result<DepsLinkLine> link_line(std::vector<std::string> flags) const;
  std::string object(unsigned index) const { return at_ / fmt::format("{}.o", index); }
  void show(const char* what, unsigned done, unsigned of) const;

  const DepsClosure& closure_;
  const DepsShape& shape_;
  DepsLibc libc_;
  const Workshop& at_;
  std::string log_;
  std::string compiler_;
  std::string page_size_;
  bool terminal_ = ::isatty(STDERR_FILENO) != 0;
};

void Maker::show(const char* what, unsigned done, unsigned of) const {
  // More often would only be work for the terminal.
  if (!terminal_ || (done % 16 != 0 && done != of)) return;
  fmt::print(stderr, "\r\033[K{}{}: {} of {}", what, libc_ == DepsLibc::musl ? " for musl" : "",
             done, of);
  std::fflush(stderr);
}

os::Result<std::string> Maker::compile(const std::string& name, const std::string& source,
                                       const char* code_model) {
  const std::string file = at_ / (name + (shape_.cxx ? ".cc" : ".c"));
  std::string result = at_ / (name + ".o");
  if (auto done = write_file(file, source); !done) return std::unexpected(done.error());
  const auto done = run_logged({compiler_, "-O2", code_model, "-c", "-o", result, file}, log_);
  if (!done) return std::unexpected(done.error());
  return result;
}

os::Result<DepsLinkLine> Maker::link_line(std::vector<std::string> flags) const {
  if (!page_size_.empty()) flags.push_back(page_size_);
  return DepsLinkLine::ask(compiler_, flags);
}

os::Result<void> Maker::objects() {
  std::vector<std::string> templates;  // by the number of dependencies
  for (unsigned i = 0; i < shape_.libs; ++i) {
    while (templates.size() <= closure_.needs(i).size()) {
      const auto needs = static_cast<unsigned>(templates.size());
      const auto file =
          compile(fmt::format("template{}", needs), deps_template(shape_, needs), "-fPIC");
      if (!file) return std::unexpected(file.error());
      templates.push_back(read_file(*file));
    }
    const std::string bytes = deps_object(templates[closure_.needs(i).size()], closure_, i);
    if (auto done = write_file(object(i), bytes); !done) return done;
  }
  return {};
}

os::Result<void> Maker::libraries() {
  std::vector<std::string> flags = {"-shared", "-Wl,-rpath,$ORIGIN"};
  if (shape_.versions) {
    const std::string script = at_ / "versions";
    if (auto done = write_file(script, deps_version_script()); !done) return done;
    flags.push_back("-Wl,--version-script=" + script);
  }
  const auto line = link_line(std::move(flags));
  if (!line) return std::unexpected(line.error());
  const auto words = [&](unsigned index) {
    std::vector<std::string> inputs = {object(index)};
    for (const unsigned other : closure_.needs(index)) inputs.push_back(at_ / library_name(other));
    inputs.insert(inputs.end(), {"-soname", library_name(index)});
    return line->words(at_ / library_name(index), inputs);
  };
  return run_in_order(closure_, words, log_,
                      [&](unsigned done) { show("linking libraries", done, shape_.libs); });
}

os::Result<void> Maker::program() {
  const auto main = compile("main", deps_program(closure_), "-fPIE");
  if (!main) return std::unexpected(main.error());
  std::string libraries;
  for (const unsigned index : closure_.roots()) libraries += (at_ / library_name(index)) + "\n";
  const std::string list = at_ / "libraries";
  if (auto done = write_file(list, libraries); !done) return done;
  const auto line = link_line({"-Wl,-rpath,$ORIGIN"});
  if (!line) return std::unexpected(line.error());
  // The linker would look at all that the libraries need, too, which takes long and isn't needed.
  return run_logged(line->words(at_ / "program", {*main, "--allow-shlib-undefined", "--push-state",
                                                  "--no-as-needed", "@" + list, "--pop-state"}),
                    log_);
}

os::Result<void> Maker::all_in_one() {
  std::string objects = (at_ / "main.o") + "\n";
  for (unsigned i = 0; i < shape_.libs; ++i) objects += object(i) + "\n";
  const std::string list = at_ / "objects";
  if (auto done = write_file(list, objects); !done) return done;
  const auto line = link_line({"-static"});
  auto linked = line ? run_logged(line->words(at_ / "program-static", {"@" + list}), log_)
                     : os::Result<void>(std::unexpected(line.error()));
  return linked ? linked : write_file(at_ / kNoAllInOne, linked.error().message());
}

os::Result<void> Maker::finish(os::Result<void> made) {
  if (terminal_) fmt::print(stderr, "\r\033[K");
  if (!made) {
    const std::string log = read_file(log_);
    if (!log.empty()) made.error().subject += ", " + log.substr(0, log.find('\n'));
    return made;
  }
  for (unsigned i = 0; i < shape_.libs; ++i) ::unlink(object(i).c_str());
  for (const char* name : {"main.o", "objects", "libraries", "versions", "log"}) {
    ::unlink((at_ / name).c_str());
  }
  for (unsigned i = 0; i <= kMostDeps; ++i) {
    ::unlink((at_ / fmt::format("template{}.o", i)).c_str());
  }
  return made;
}

os::Result<void> make(const DepsClosure& closure, DepsLibc libc, const Workshop& at) {
  Maker maker(closure, libc, at);
  auto made = maker.objects();
  if (made) made = maker.libraries();
  if (made) made = maker.program();
  if (made && libc == DepsLibc::system) made = maker.all_in_one();
  return maker.finish(std::move(made));
}

os::Result<void> can_be_made(const DepsShape& shape, DepsLibc libc) {
  if (libc == DepsLibc::musl) {
    if (shape.cxx) return os::failed_with(0, "make C++ libraries:", "musl-gcc has no C++");
    if (find_on_path("musl-gcc").empty()) return os::failed_with(0, "find", "musl-gcc");
    return {};
  }
  const char* compiler = shape.cxx ? "g++" : "gcc";
  if (find_on_path(compiler).empty()) return os::failed_with(0, "find", compiler);
  return {};
}

}  // namespace

std::string deps_cache() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && cache[0] == '/') return std::string(cache) + "/prewarm/bench";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "" : home) + "/.cache/prewarm/bench";
}

os::Result<DepsSet> make_deps(const DepsClosure& closure, DepsLibc libc, const std::string& cache) {
  std::error_code error;
  fs::create_directories(cache, error);
  if (error) return os::failed_with(error.value(), "make the directory", cache);
  const std::string real = fs::canonical(cache, error);
  if (error) return os::failed_with(error.value(), "find", cache);

  const std::string name = set_name(closure.shape(), libc);
  DepsSet set{.directory = real + "/" + name, .program = {}, .all_in_one = {}, .lacking = {}};
  if (!fs::exists(set.directory, error)) {
    if (auto can = can_be_made(closure.shape(), libc); !can) return std::unexpected(can.error());
    auto at = open_workshop(real, name);
    if (!at) return std::unexpected(at.error());
    if (auto made = make(closure, libc, *at); !made) return std::unexpected(made.error());
    if (auto kept = at->keep_as(set.directory); !kept) return std::unexpected(kept.error());
  }
  set.program = set.directory + "/program";
  if (libc == DepsLibc::musl) return set;
  set.lacking = read_file(set.directory + "/" + kNoAllInOne);
  if (set.lacking.empty()) set.all_in_one = set.directory + "/program-static";
  return set;
}

}  // namespace prewarm::cli

// SPDX-License-Identifier: MIT
#include "coproc/start_plan.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "os/fd.h"
#include "os/program.h"
#include "park/eligibility.h"

namespace prewarm::coproc {
namespace {

// Of a tool's file; whoever is a worker says so near its beginning or end, and few are larger.
constexpr std::size_t kLookedAt = std::size_t{4} << 20;
// Files remembered; more than anybody has.
constexpr std::size_t kMaxRemembered = 256;

// What the start of most tools depends on. A declaration can say it exactly.
constexpr const char* kUsualVariables[] = {
    "PATH",     "HOME",           "LANG",    "LANGUAGE",    "LC_*",         "LD_*",
    "MALLOC_*", "GLIBC_TUNABLES", "PYTHON*", "VIRTUAL_ENV", "PERL5LIB",     "PERL5OPT",
    "RUBYLIB",  "RUBYOPT",        "GEM_*",   "NODE_PATH",   "NODE_OPTIONS", "CLASSPATH",
    "JAVA_*",   "JDK_*",          "R_*",     "TZ",          "TMPDIR",
};

// Changes whenever the file does. Empty: there is none.
std::string identity_of(const std::string& path) {
  struct stat s;
  if (::stat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return {};
  const auto file = os::FileIdentity::of(s);
  std::string identity;
  for (const auto part :
       {file.device, file.inode, file.size, static_cast<std::uint64_t>(file.modified_ns),
        static_cast<std::uint64_t>(file.changed_ns)}) {
    identity += std::to_string(part) + ".";
  }
  return identity;
}

std::string read_file(const std::string& path) {
  const os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  std::string text;
  if (!fd.valid()) return text;
  text.resize(kLookedAt);
  std::size_t used = 0;
  while (used < text.size()) {
    const ssize_t n = ::read(fd.get(), text.data() + used, text.size() - used);
    if (n <= 0) break;
    used += static_cast<std::size_t>(n);
  }
  text.resize(used);
  return text;
}

bool is_shell_script(std::string_view text) {
  if (!text.starts_with("#!")) return false;
  const auto line = text.substr(0, text.find('\n'));
  for (const std::string_view shell : {"/sh", "/dash", "/bash", "/ksh", " bash", " sh", " dash"}) {
    const auto at = line.find(shell);
    if (at == std::string_view::npos) continue;
    const auto end = at + shell.size();
    if (end == line.size() || line[end] == ' ') return true;
  }
  return false;
}

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == name;
}

bool matters(const Declaration& declaration, std::string_view name) {
  const auto fits = [name](const auto& pattern) { return matches(pattern, name); };
  if (declaration.environment.empty()) {
    return std::any_of(std::begin(kUsualVariables), std::end(kUsualVariables), fits);
  }
  return std::any_of(declaration.environment.begin(), declaration.environment.end(), fits);
}

void add_part(std::string& key, std::string_view part) {
  key += part;
  key += '\0';
}

std::string identify_files(const StartPlan& plan) {
  std::string files = identity_of(plan.program);
  for (const auto& word : plan.command) {
    if (word.starts_with('/')) files += " " + identity_of(word);
  }
  return files;
}

std::string make_key(const Invocation& invocation, const StartPlan& plan) {
  std::string key;
  add_part(key, plan.program);
  add_part(key, plan.declaration.name);
  add_part(key, plan.files);
  for (const auto& word : plan.command) add_part(key, word);
  std::vector<std::string_view> variables;
  for (const auto& v : invocation.environment) {
    if (matters(plan.declaration, std::string_view(v).substr(0, v.find('=')))) {
      variables.push_back(v);
    }
  }
  std::sort(variables.begin(), variables.end());
  for (const auto& v : variables) add_part(key, v);
  add_part(key, plan.directory);
  return key;
}

// The file that `name` means with the request's PATH.
std::string search(const std::string& name, const Invocation& invocation) {
  const char* path = invocation.variable("PATH");
  return os::find_program(name, path == nullptr ? "/usr/bin:/bin" : path, os::Relative::left_out);
}

bool is_bazel(Protocol protocol) {
  return protocol == Protocol::bazel_json || protocol == Protocol::bazel_proto;
}

void add_adapter_options(const Invocation& invocation, const Declaration& declaration,
                         std::vector<std::string>& command) {
  if (declaration.protocol == Protocol::fcli && !declaration.takes_stdin) {
    command.push_back("--no-stdin");
  }
  if (declaration.protocol != Protocol::ready) {
    // A little less than the owner's patience, so that the adapter can still say what is wrong.
    const unsigned seconds = std::max(declaration.start_seconds, 2U) - 1;
    command.insert(command.end(), {"--start-seconds", std::to_string(seconds)});
  }
  // Bazel's workers are not told of it.
  if (is_bazel(declaration.protocol) && invocation.umask) {
    command.insert(command.end(), {"--umask", umask_text(*invocation.umask)});
  }
  command.insert(command.end(), declaration.adapter_options.begin(),
                 declaration.adapter_options.end());
}

// The Python file that imports modules and then is ready: beside what is installed, or in the
// source tree of what was built.
std::string preloader(const std::string& prewarm) {
  const std::string here = prewarm.substr(0, prewarm.rfind('/') + 1);
  constexpr const char* kInstalled = "../lib/python3/dist-packages/prewarm/preload.py";
  for (const char* place : {kInstalled, "../sdk/python/prewarm/preload.py"}) {
    if (std::string path = here + place; ::access(path.c_str(), R_OK) == 0) return path;
  }
  return here + kInstalled;
}

std::string affinity_of(const Invocation& invocation, const Declaration& declaration) {
  if (!invocation.affinity.empty()) return invocation.affinity;
  if (declaration.affinity == "directory") return invocation.directory.value_or("");
  const unsigned n = affinity_argument(declaration.affinity);
  return n > 0 && n < invocation.arguments.size() ? invocation.arguments[n] : std::string();
}

}  // namespace

Protocol protocol_in_text(std::string_view text) {
  const auto has = [text](std::string_view what) { return text.find(what) != text.npos; };
  if (is_shell_script(text)) {
    return has("prewarm_serve") || has("FCLI_REQUEST_FIFO") ? Protocol::fcli : Protocol::batch;
  }
  if (has("prewarm.ready(") || has("prewarm_ready")) return Protocol::ready;
  if (has("prewarm.serve(") || has("prewarm_serve") || has("CAPERS_FD")) return Protocol::capers;
  if (has("FCLI_REQUEST_FIFO")) return Protocol::fcli;
  return Protocol::batch;
}

std::expected<const Declarations*, Outcome> Planner::declarations(const std::string& path) {
  static const Declarations none;
  if (path.empty()) return &none;
  const std::string identity = identity_of(path);
  const auto known = files_.find(path);
  if (known == files_.end() || known->second.identity != identity) {
    if (files_.size() >= kMaxRemembered) files_.clear();
    File& file = files_[path];
    file = {identity, {}, {}};
    if (auto read = read_declarations(path)) {
      file.declarations = std::move(*read);
    } else {
      file.error = read.error().message();
    }
  }
  const File& file = files_[path];
  if (!file.error.empty()) return std::unexpected(Outcome::not_run("refused", file.error));
  limits_ = file.declarations.limits;
  return &file.declarations;
}

Protocol Planner::protocol_of(const std::string& program) {
  const std::string identity = identity_of(program);
  if (texts_.size() >= kMaxRemembered) texts_.clear();
  Text& text = texts_[program];
  if (text.identity != identity || identity.empty()) {
    text = {identity, protocol_in_text(read_file(program))};
  }
  return text.protocol;
}

// False: the tool is none that could be a worker.
bool Planner::choose_command(const Invocation& invocation, StartPlan& plan) {
  Declaration& declaration = plan.declaration;
  std::vector<std::string> tool = declaration.run;
  if (!invocation.preload.empty()) {
    declaration.protocol = Protocol::ready;
    tool = {plan.program, preloader(prewarm_), invocation.preload};
    // Nothing of that stands in front of what the invocation says.
    declaration.adapter_options = {"--keep", "0"};
  }
  if (tool.empty()) tool = {plan.program};
  tool[0] = search(tool[0], invocation);
  if (tool[0].empty()) return false;
  if (declaration.protocol == Protocol::automatic) {
    declaration.protocol = protocol_of(declaration.run.empty() ? plan.program : tool.back());
    // What is declared is a worker; how it speaks is found out by trying.
    if (declaration.protocol == Protocol::batch && !declaration.name.empty()) {
      declaration.protocol = Protocol::capers;
    }
  }
  if (declaration.protocol == Protocol::batch) return false;
  if (declaration.protocol == Protocol::capers) {
    plan.command = std::move(tool);
    return true;
  }
  plan.command = {prewarm_, "adapt", protocol_name(declaration.protocol)};
  add_adapter_options(invocation, declaration, plan.command);
  plan.command.push_back("--");
  plan.command.insert(plan.command.end(), tool.begin(), tool.end());
  return true;
}

std::expected<StartPlan, Outcome> Planner::plan(const Invocation& invocation) {
  const auto known = declarations(invocation.declarations);
  if (!known) return std::unexpected(known.error());
  if (invocation.program.empty()) {
    return std::unexpected(Outcome::not_run("message", "the field program is missing"));
  }
  StartPlan plan;
  plan.program = invocation.program;
  if (const auto* found = (*known)->find(invocation.arguments[0], invocation.program)) {
    plan.declaration = *found;
  }
  if (invocation.workers > 0) plan.declaration.workers = invocation.workers;
  // Nor of the directory.
  if (is_bazel(plan.declaration.protocol)) plan.declaration.by_directory = true;
  plan.environment = invocation.environment;
  // What is waiting for work holds no directory, unless it only works in that one.
  plan.directory = plan.declaration.by_directory ? invocation.directory.value_or("/") : "/";
  if (!choose_command(invocation, plan)) {
    return std::unexpected(Outcome::not_run(
        "batch", plan.program + " is not declared as a coprocess, and doesn't say that it is one"));
  }
  plan.affinity = affinity_of(invocation, plan.declaration);
  plan.files = identify_files(plan);
  plan.key = make_key(invocation, plan);
  return plan;
}

}  // namespace prewarm::coproc

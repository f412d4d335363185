// SPDX-License-Identifier: MIT
//
// `prewarm run`: becomes the bash that a user would have started, with the loadable preloaded.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/locate.h"
#include "coproc/declarations.h"
#include "launch/reason.h"
#include "launch/settings.h"
#include "park/part.h"

namespace prewarm::cli {
namespace {

constexpr char kPreload[] = "LD_PRELOAD=";

struct Interpreter {
  std::string path;      // empty: no first line that names one
  std::string argument;  // the optional one argument
};

Interpreter interpreter_of(const std::string& script) {
  struct stat s;
  // What is in a pipe can be read only once, and is bash's to read.
  if (::stat(script.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return {};
  std::ifstream file(script, std::ios::binary);
  std::string line;
  char head[2] = {};
  if (!file.read(head, 2) || head[0] != '#' || head[1] != '!') return {};
  std::getline(file, line);
  const auto start = line.find_first_not_of(" \t");
  if (start == std::string::npos) return {};
  const auto end = line.find_first_of(" \t", start);
  Interpreter result{line.substr(start, end - start), {}};
  if (end != std::string::npos) {
    const auto argument = line.find_first_not_of(" \t", end);
    if (argument != std::string::npos) {
      result.argument = line.substr(argument, line.find_last_not_of(" \t\r") - argument + 1);
    }
  }
  return result;
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Whether bash itself would be what runs the script if it were started by name.
bool wants_bash(const Interpreter& interpreter) {
  if (interpreter.path.empty()) return true;
  if (base_name(interpreter.path) == "bash") return true;
  return base_name(interpreter.path) == "env" && base_name(interpreter.argument) == "bash";
}

// The name that a profile goes by: the script's real path.
std::string profile_key(const std::string& script) {
  char real[PATH_MAX];
  struct stat s;
  if (::stat(script.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return {};
  return ::realpath(script.c_str(), real) == nullptr ? std::string() : std::string(real);
}

// Whether a value of `_` is what the calling shell set it to when it started us.
bool names_us(const char* value) {
  char own[PATH_MAX];
  char real[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", own, sizeof own - 1);
  if (n <= 0 || ::realpath(value, real) == nullptr) return false;
  own[n] = '\0';
  return std::strcmp(own, real) == 0;
}

// Environment of the bash: ours, with the loadable put first into LD_PRELOAD, the settings, and `_`
// as the calling shell would have set it for bash.
std::vector<std::string> environment(const std::string& bash, const std::string& loadable,
                                     const launch::Settings& settings) {
  std::vector<std::string> env;
  bool preloaded = false;
  for (char** e = environ; *e != nullptr; ++e) {
    if (std::strncmp(*e, "_=", 2) == 0 && names_us(*e + 2)) {
      env.push_back("_=" + bash);
    } else if (!loadable.empty() && std::strncmp(*e, kPreload, sizeof kPreload - 1) == 0) {
      env.push_back(kPreload + loadable + ":" + (*e + sizeof kPreload - 1));
      preloaded = true;
    } else {
      env.emplace_back(*e);
    }
  }
  if (loadable.empty()) return env;
  if (!preloaded) env.push_back(kPreload + loadable);
  env.push_back(std::string(launch::Settings::kVariable) + "=" + settings.to_text());
  return env;
}

[[noreturn]] void become(const std::string& path, std::vector<std::string> argv,
                         std::vector<std::string> env) {
  std::vector<char*> a;
  std::vector<char*> e;
  for (auto& s : argv) a.push_back(s.data());
  for (auto& s : env) e.push_back(s.data());
  a.push_back(nullptr);
  e.push_back(nullptr);
  ::execve(path.c_str(), a.data(), e.data());
  const int error = errno;
  complain("can't run " + path + ": " + std::strerror(error));
  std::_Exit(error == ENOENT ? 127 : 126);
}

// Tells the loadable which commands are coprocesses. If that can't be told they are run as always.
void add_declarations(launch::Settings& settings) {
  // A variable in an environment has at most 128 KiB, and a script that isn't run at all is worse.
  constexpr std::size_t kMostText = 65536;
  const std::string file = coproc::declarations_path();
  const auto declared = coproc::read_declarations(file);
  if (!declared) {
    complain(declared.error().message() + "; no command is a coprocess");
    return;
  }
  if (declared->commands.empty()) return;
  char real[PATH_MAX];
  if (::realpath(file.c_str(), real) == nullptr) return;
  launch::Settings with = settings;
  with.declarations = real;
  with.command = find_command();
  for (const auto& command : declared->commands) {
    const bool is_batch = command.protocol == coproc::Protocol::batch;
    (is_batch ? with.batch : with.coprocesses).push_back(command.name);
  }
  if (with.to_text().size() > kMostText) {
    complain(file + ": too many commands for a script's start; none is a coprocess");
    return;
  }
  settings = std::move(with);
}

launch::Settings settings_of(const RunOptions& options) {
  launch::Settings s;
  s.stats = options.stats;
  s.stats_json = options.stats_json;
  s.learn = !options.no_learn;
  s.max_warm = options.max_warm;
  s.clone = !options.exec_isolation;
  s.agent_path = find_agent();
  if (!options.is_command && !options.arguments.empty()) {
    s.script = profile_key(options.arguments[0]);
  }
  if (options.max_warm > 0) add_declarations(s);
  return s;
}

// Statistics of a run without the loadable, which makes them otherwise.
void report_unwarmed(const RunOptions& options, const std::string& why) {
  if (options.stats) complain("not warmed: " + why);
  if (options.stats_json.empty()) return;
  const nlohmann::json report = {{"commands", nlohmann::json::array()}, {"not_warmed", why}};
  std::ofstream(options.stats_json) << report << '\n';
}

// A script for another interpreter is run by that one, as starting it by name would.
[[noreturn]] void run_by_own_interpreter(const RunOptions& options,
                                         const Interpreter& interpreter) {
  report_unwarmed(options, options.arguments[0] + " is a script for " + interpreter.path +
                               "; use --bash to run it by bash");
  std::vector<std::string> argv{interpreter.path};
  if (!interpreter.argument.empty()) argv.push_back(interpreter.argument);
  argv.insert(argv.end(), options.arguments.begin(), options.arguments.end());
  become(interpreter.path, std::move(argv), environment({}, {}, {}));
}

// The loadable for this bash; empty, and said why, if it is not to be warmed.
std::string loadable_for(const std::string& bash, const RunOptions& options) {
  if (options.max_warm == 0 && !options.stats && options.stats_json.empty()) return {};
  // And bash would find the settings in its environment.
  if (::getuid() != ::geteuid() || ::getgid() != ::getegid()) {
    report_unwarmed(options,
                    "the effective user or group is not the real one, and then the "
                    "dynamic linker preloads nothing");
    return {};
  }
  std::string loadable = find_loadable();
  if (!loadable.empty() && park::fits_into(loadable.c_str(), bash.c_str())) return loadable;
  const auto reason =
      loadable.empty() ? launch::Reason::agent_missing : launch::Reason::unsupported_bash;
  report_unwarmed(options, bash + ": " + launch::reason_text(reason));
  return {};
}

}  // namespace

int run(const RunOptions& options) {
  if (!options.arguments.empty() && options.arguments[0].size() > 1 &&
      options.arguments[0][0] == '-' && !options.is_command) {
    complain("run: unknown option " + options.arguments[0] + "; see prewarm run --help");
    return kUsageError;
  }
  if (options.is_command && options.arguments.empty()) {
    complain("run: -c needs the commands to run; see prewarm run --help");
    return kUsageError;
  }
  if (!options.is_command && !options.any_interpreter && !options.arguments.empty()) {
    const Interpreter interpreter = interpreter_of(options.arguments[0]);
    if (!wants_bash(interpreter)) run_by_own_interpreter(options, interpreter);
  }
  const std::string bash = find_bash();
  if (bash.empty()) {
    complain("bash was not found on PATH; install it or correct PATH");
    return 127;
  }
  std::vector<std::string> argv{"bash"};
  if (options.is_command) argv.push_back("-c");
  argv.insert(argv.end(), options.arguments.begin(), options.arguments.end());
  // Without the loadable the script runs all the same, only not warmed.
  become(bash, std::move(argv),
         environment(bash, loadable_for(bash, options), settings_of(options)));
}

}  // namespace prewarm::cli

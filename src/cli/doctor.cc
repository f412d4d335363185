// SPDX-License-Identifier: MIT
//
// `prewarm doctor`: whether this system can launch warm, and what is in the way; for programs,
// whether they can be parked, and how long they take to start cold and warm.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/prctl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/locate.h"
#include "cli/start_times.h"
#include "image/eligible.h"
#include "image/exec_direct.h"
#include "image/glibc_layout.h"
#include "image/loader_facts.h"
#include "image/service_client.h"
#include "park/eligibility.h"
#include "park/part.h"

namespace prewarm::cli {
namespace {

struct Check {
  std::string what;
  bool good;
  std::string detail;
};

std::string first_line_of(const std::string& command) {
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  char line[512] = {};
  const bool read = std::fgets(line, sizeof line, pipe) != nullptr;
  ::pclose(pipe);
  std::string text = read ? line : "";
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Check check_kernel() {
  utsname u{};
  ::uname(&u);
  int major = 0;
  int minor = 0;
  std::sscanf(u.release, "%d.%d", &major, &minor);
  const bool good = major > 5 || (major == 5 && minor >= 9);
  return {"kernel", good, std::string(u.release) + (good ? "" : ": close_range needs Linux 5.9")};
}

Check check_restore_calls() {
  unsigned size = 0;
  int* address = nullptr;
  const bool map = ::prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) == 0;
  const bool tid = ::prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0) == 0;
  return {"PR_SET_MM_MAP and PR_GET_TID_ADDRESS", map && tid,
          map && tid ? "command line and environment can be set without privilege"
                     : "missing: the kernel is built without CONFIG_CHECKPOINT_RESTORE"};
}

Check check_proc() {
  const bool good = ::access("/proc/self/stat", R_OK) == 0;
  return {"/proc", good, good ? "mounted" : "not mounted: programs can't be parked"};
}

Check check_limits() {
  const auto soft = [](__rlimit_resource r) {
    rlimit limit{};
    ::getrlimit(r, &limit);
    return limit.rlim_cur;
  };
  std::string tight;
  const auto note = [&tight](bool is_tight, const char* name) {
    if (is_tight) tight += std::string(tight.empty() ? "" : ", ") + name;
  };
  note(soft(RLIMIT_AS) != RLIM_INFINITY, "address space (ulimit -v)");
  note(soft(RLIMIT_DATA) != RLIM_INFINITY, "data (ulimit -d)");
  note(soft(RLIMIT_FSIZE) != RLIM_INFINITY, "file size (ulimit -f)");
  note(soft(RLIMIT_CPU) != RLIM_INFINITY, "processor time (ulimit -t)");
  note(soft(RLIMIT_STACK) < (1U << 20), "stack (ulimit -s)");
  note(soft(RLIMIT_NOFILE) < 512, "open files (ulimit -n)");
  note(soft(RLIMIT_NPROC) < 1024, "processes (ulimit -u)");
  return {"limits", tight.empty(),
          tight.empty() ? "leave room for parking" : "launches go cold because of: " + tight};
}

Check check_part(const char* what, const std::string& path) {
  return {what, !path.empty(), path.empty() ? "not found, damaged or of another version" : path};
}

Check check_bash(const std::string& bash, const std::string& loadable) {
  if (bash.empty()) return {"bash", false, "not found on PATH"};
  if (!loadable.empty() && !park::fits_into(loadable.c_str(), bash.c_str())) {
    return {"bash", false,
            bash +
                ": no bash that can load prewarm.so (it is statically linked, a script, "
                "or exports too little)"};
  }
  const std::string version = first_line_of("'" + bash + "' --version 2>/dev/null");
  const bool good = version.find("version 5.2") != std::string::npos;
  return {"bash", good, bash + ": " + version + (good ? "" : " (the loadable is for 5.2)")};
}

// The only check that leaves no doubt: a short script whose statistics say that it was warm.
Check check_whole() {
  char self[4096];
  const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0) return {"warm launches", false, "/proc/self/exe can't be read"};
  self[n] = '\0';
  char file[] = "/tmp/prewarm-doctor.XXXXXX";
  const int fd = ::mkstemp(file);
  if (fd < 0) return {"warm launches", false, "can't make a temporary file"};
  ::close(fd);
  const std::string script = "for i in 1 2 3 4 5 6; do cut -c1 /dev/null; done";
  first_line_of(
      fmt::format("'{}' run --no-learn --stats-json {} -c '{}' 2>&1", self, file, script));
  std::ifstream in(file);
  const auto json = nlohmann::json::parse(in, nullptr, false);
  ::unlink(file);
  if (json.is_discarded() || !json.contains("commands") || json["commands"].empty()) {
    return {"warm launches", false, "the loadable didn't come to life in this bash"};
  }
  const auto& cut = json["commands"][0];
  const int warm = cut.value("direct", 0);
  std::string detail = fmt::format("{} of 6 calls of cut were warm", warm);
  if (warm == 0 && cut.contains("reasons")) detail += ": " + cut["reasons"].dump();
  return {"warm launches", warm > 0, detail};
}

// Images: what each needs, and nothing of it is needed for warm launches.
Check check_image_service() {
  const std::string what = "images: the loader service";
  auto service = image::ServiceClient::connect();
  if (!service) {
    const bool none = service.error().code == ENOENT || service.error().code == ECONNREFUSED;
    const std::string path = find_service();
    if (path.empty()) return {what, false, "prewarmd isn't installed"};
    return {what, none,
            none ? "not running; started when it is needed" : service.error().message()};
  }
  const auto said = service->list();
  if (!said) return {what, false, said.error().message()};
  const auto json = nlohmann::json::parse(said->text, nullptr, false);
  if (!json.is_object()) return {what, false, "its answer can't be read"};
  const auto sandbox = json.value("sandbox", nlohmann::json::object());
  std::string detail = fmt::format("runs, {} images; sandbox: seccomp {}, Landlock {}", said->count,
                                   sandbox.value("seccomp", false) ? "active" : "missing",
                                   sandbox.value("landlock", 0) > 0 ? "active" : "missing");
  return {what, true, detail};
}

// A child that asks to be traced, and is.
Check check_tracing() {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0) ::raise(SIGSTOP);
    ::_exit(1);
  }
  int status = 0;
  const bool traced = pid > 0 && ::waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
  if (traced) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, &status, 0);
  }
  return {"images: tracing", traced,
          traced ? "allowed, so that images can be made" : "not allowed: no image can be made"};
}

Check check_glibc() {
  const auto facts = image::ask_loader(image::kLoaderPath);
  if (!facts) return {"images: glibc", false, facts.error().message()};
  const bool known = image::loader_layout(facts->version) != nullptr;
  return {"images: glibc", true,
          facts->version + (known ? ": known well enough to pack libraries"
                                  : ": not known; images are made, but libraries aren't packed")};
}

Check check_direct_start() {
  const bool can = image::may_start_directly();
  return {"images: start", true,
          can ? "directly, without an exec of the program"
              : "through ld.so, which takes longer (CAP_CHECKPOINT_RESTORE is missing, or a "
                "security module labels processes)"};
}

std::vector<Check> check_system() {
  const std::string loadable = find_loadable();
  std::vector<Check> checks{check_kernel(),
                            check_restore_calls(),
                            check_proc(),
                            check_limits(),
                            check_bash(find_bash(), loadable),
                            check_part("loadable", loadable),
                            check_part("agent", find_agent())};
  checks.push_back(check_whole());
  for (const auto check : {check_image_service, check_tracing, check_glibc, check_direct_start}) {
    checks.push_back(check());
  }
  return checks;
}

struct ProgramReport {
  std::string name;
  std::string path;
  launch::Reason reason;
  park::Isolation isolation;
  std::optional<StartTimes> times;
};

ProgramReport examine(const std::string& name) {
  ProgramReport r{name, find_on_path(name), launch::Reason::not_found, park::Isolation::clone, {}};
  if (r.path.empty()) return r;
  if (r.path[0] != '/') {
    if (char* real = ::realpath(r.path.c_str(), nullptr)) {
      r.path = real;
      std::free(real);
    }
  }
  const auto eligible = park::check_program(r.path.c_str(), std::getenv("PREWARM_PARK_DIRS"));
  r.reason = eligible.reason;
  r.isolation = eligible.isolation;
  if (r.reason != launch::Reason::none) return r;
  const auto measured = measure_start(r.path, find_agent());
  if (measured) {
    r.times = *measured;
  } else {
    r.reason = measured.error();
  }
  return r;
}

void print_checks(const std::vector<Check>& checks) {
  for (const auto& c : checks) {
    fmt::print("{:<4} {:<40} {}\n", c.good ? "ok" : "NO", c.what, c.detail);
  }
}

void print_programs(const std::vector<ProgramReport>& programs) {
  if (programs.empty()) return;
  fmt::print("\n{:<16} {:>10} {:>10} {:>7}  {}\n", "program", "cold", "warm", "ratio",
             "(median of `PROGRAM --version`, start to end)");
  for (const auto& p : programs) {
    if (!p.times) {
      fmt::print("{:<16} not parked: {}\n", p.name, launch::reason_text(p.reason));
      continue;
    }
    fmt::print("{:<16} {:>7.0f} µs {:>7.0f} µs {:>6.1f}x  {}\n", p.name, p.times->cold_us,
               p.times->warm_us, p.times->cold_us / p.times->warm_us,
               p.isolation == park::Isolation::clone ? "parked and cloned"
                                                     : "parked one by one (handles keys)");
  }
}

void print_json(const std::vector<Check>& checks, const std::vector<ProgramReport>& programs) {
  nlohmann::json out{{"system", nlohmann::json::array()}, {"programs", nlohmann::json::array()}};
  for (const auto& c : checks) {
    out["system"].push_back({{"check", c.what}, {"ok", c.good}, {"detail", c.detail}});
  }
  for (const auto& p : programs) {
    nlohmann::json j{{"program", p.name},
                     {"path", p.path},
                     {"parkable", p.reason == launch::Reason::none},
                     {"reason", launch::reason_name(p.reason)},
                     {"isolation", p.isolation == park::Isolation::clone ? "clone" : "exec"}};
    if (p.times) {
      j["cold_us"] = p.times->cold_us;
      j["warm_us"] = p.times->warm_us;
    }
    out["programs"].push_back(std::move(j));
  }
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

int doctor(const std::vector<std::string>& names, bool json) {
  const auto checks = check_system();
  std::vector<ProgramReport> programs;
  for (const auto& name : names) programs.push_back(examine(name));
  if (json) {
    print_json(checks, programs);
  } else {
    print_checks(checks);
    print_programs(programs);
  }
  const bool good =
      std::all_of(checks.begin(), checks.end(), [](const Check& c) { return c.good; });
  return good ? 0 : 1;
}

}  // namespace prewarm::cli

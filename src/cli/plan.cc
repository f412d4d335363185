// SPDX-License-Identifier: MIT
//
// `prewarm plan`: what would be parked for a script, found the way `run` finds it: bash's own
// parser
// (`bash -n`, which executes nothing) with the loadable looking over its shoulder.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/locate.h"
#include "image/audit_variable.h"
#include "launch/profile.h"
#include "launch/scan_table.h"
#include "os/fd.h"
#include "park/eligibility.h"
#include "prewarm/command.h"

namespace prewarm::cli {
namespace {

using launch::Reason;
using launch::ScanEntry;
using launch::ScanTable;

struct Planned {
  std::string name;
  std::string path;
  std::string how;  // empty: not parked
  Reason reason = Reason::none;
  std::uint32_t count = 0;
  bool learned = false;  // known from the last run, not from the text
};

// What the loadable finds in the script, in a bash that only reads it. `table` is shared memory.
Result<Exit> look(const std::string& bash, const std::string& script, const std::string& loadable,
                  int table) {
  Command command(bash);
  command.argv0("bash").args({"-n", "--", script});
  command.in(Stdio::null()).out(Stdio::null()).inherit(table, 3);
  command.env("LD_PRELOAD", loadable).env(launch::kScanVariable, "3").unset_env("BASH_ENV");
  return command.run();
}

Planned judge(const std::string& name, const std::string& path, bool often, bool background) {
  Planned p{name, path, {}, Reason::none, 0, false};
  if (path.empty()) {
    p.reason = Reason::not_found;
    return p;
  }
  const auto eligible = park::check_program(path.c_str(), std::getenv("PREWARM_PARK_DIRS"));
  p.reason = eligible.reason;
  if (p.reason == Reason::none && image::has_loader_variables(environ)) {
    p.reason = Reason::library_path;
  }
  if (p.reason == Reason::none && background) p.reason = Reason::background;
  if (p.reason != Reason::none) return p;
  if (!often) {
    p.how = "parked once";
  } else {
    p.how =
        eligible.isolation == park::Isolation::clone ? "parked and cloned" : "parked one by one";
  }
  return p;
}

std::vector<Planned> planned_from(const ScanTable& table) {
  std::vector<Planned> all;
  const std::uint32_t n = std::min(table.count.load(), ScanTable::kMaxEntries);
  for (std::uint32_t i = 0; i < n; ++i) {
    const ScanEntry& e = table.entries[i];
    const bool often = e.count > 1 || (e.flags & (launch::kScanLoop | launch::kScanFunction)) != 0;
    all.push_back(judge(e.name, e.path, often, (e.flags & launch::kScanBackground) != 0));
    all.back().count = e.count;
  }
  return all;
}

// What the last run launched beyond what the text names.
void add_learned(const std::string& script, std::vector<Planned>& all) {
  char real[PATH_MAX];
  if (::realpath(script.c_str(), real) == nullptr) return;
  const std::string directory =
      launch::profile_directory(std::getenv("XDG_CACHE_HOME"), std::getenv("HOME"));
  if (directory.empty()) return;
  const auto profile = launch::load_profile(launch::profile_file(directory, real));
  if (!profile) return;
  for (const auto& e : profile->entries) {
    bool known = false;
    for (const auto& p : all) known = known || p.path == e.path;
    if (known) continue;
    all.push_back(judge(e.path.substr(e.path.rfind('/') + 1), e.path, e.launches > 1, false));
    all.back().count = e.launches;
    all.back().learned = true;
  }
}

void print_table(const std::vector<Planned>& all, std::uint32_t variable_names) {
  fmt::print("{:<16} {:<28} {}\n", "command", "program", "plan");
  for (const auto& p : all) {
    const std::string plan =
        p.how.empty() ? std::string("not parked: ") + launch::reason_text(p.reason) : p.how;
    fmt::print("{:<16} {:<28} {}{}\n", p.name, p.path.empty() ? "-" : p.path, plan,
               p.learned ? " (known from the last run)" : "");
  }
  if (all.empty()) fmt::print("(no external commands are named)\n");
  if (variable_names > 0) {
    fmt::print("{} command{} named by variables or expansions: known once a run has been learned\n",
               variable_names, variable_names == 1 ? " is" : "s are");
  }
}

void print_json(const std::vector<Planned>& all, std::uint32_t variable_names) {
  nlohmann::json out{{"commands", nlohmann::json::array()}, {"named_by_variables", variable_names}};
  for (const auto& p : all) {
    out["commands"].push_back({{"command", p.name},
                               {"path", p.path},
                               {"parked", !p.how.empty()},
                               {"how", p.how},
                               {"reason", launch::reason_name(p.reason)},
                               {"reason_text", launch::reason_text(p.reason)},
                               {"count", p.count},
                               {"learned", p.learned}});
  }
  fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

int plan(const std::string& script, bool json) {
  if (::access(script.c_str(), R_OK) != 0) {
    complain("plan: can't read " + script + ": " + std::strerror(errno));
    return 1;
  }
  const std::string bash = find_bash();
  const std::string loadable = find_loadable();
  if (bash.empty() || loadable.empty()) {
    complain(bash.empty() ? "plan: bash was not found on PATH"
                          : "plan: the bash loadable was not found; is prewarm installed whole?");
    return 1;
  }
  const os::Fd memory(::memfd_create("prewarm-plan", MFD_CLOEXEC));
  void* at = MAP_FAILED;
  if (memory.valid() && ::ftruncate(memory.get(), sizeof(ScanTable)) == 0) {
    at = ::mmap(nullptr, sizeof(ScanTable), PROT_READ, MAP_SHARED, memory.get(), 0);
  }
  if (at == MAP_FAILED) {
    complain(std::string("plan: can't make shared memory: ") + std::strerror(errno));
    return 1;
  }
  const auto looked = look(bash, script, loadable, memory.get());
  if (!looked) {
    complain("plan: can't start bash: " + looked.error().message());
    return 1;
  }
  const auto& table = *static_cast<const ScanTable*>(at);
  auto all = planned_from(table);
  add_learned(script, all);
  json ? print_json(all, table.variable_names) : print_table(all, table.variable_names);
  // bash has said what is wrong with the script; what stands before that is listed all the same.
  return looked->success() ? 0 : 1;
}

}  // namespace prewarm::cli

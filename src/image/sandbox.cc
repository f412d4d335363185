// SPDX-License-Identifier: MIT
#include "image/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "image/sandbox_seccomp.h"
#include "os/fd.h"

namespace prewarm::image {
namespace {

// linux/landlock.h of Linux 6.12, of which Debian 12's headers have the first parts.
struct RulesetAttributes {
  std::uint64_t files = 0;
  std::uint64_t network = 0;  // from ABI 4
  std::uint64_t scoped = 0;   // from ABI 6
};
constexpr std::uint64_t kRefer = 1ULL << 13;     // ABI 2
constexpr std::uint64_t kTruncate = 1ULL << 14;  // ABI 3
constexpr std::uint64_t kIoctl = 1ULL << 15;     // ABI 5
constexpr std::uint64_t kBindTcp = 1, kConnectTcp = 2;
constexpr std::uint64_t kScopeAbstractSockets = 1, kScopeSignals = 2;
constexpr int kNetworkAbi = 4, kScopeAbi = 6;

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kWrite = kRead | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                                 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR;
// What a rule for a single file may say.
constexpr std::uint64_t kOfFile =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;

RulesetAttributes attributes_of(int abi) {
  RulesetAttributes handled;
  handled.files = kRefer - 1;  // all of ABI 1
  if (abi >= 2) handled.files |= kRefer;
  if (abi >= 3) handled.files |= kTruncate;
  if (abi >= 5) handled.files |= kIoctl;
  if (abi >= kNetworkAbi) handled.network = kBindTcp | kConnectTcp;
  if (abi >= kScopeAbi) handled.scoped = kScopeAbstractSockets | kScopeSignals;
  return handled;
}

std::size_t size_of(int abi) {
  if (abi >= kScopeAbi) return sizeof(RulesetAttributes);
  if (abi >= kNetworkAbi) return offsetof(RulesetAttributes, scoped);
  return offsetof(RulesetAttributes, network);
}

os::Result<void> allow(const os::Fd& ruleset, const std::string& path, std::uint64_t access) {
  const os::Fd at(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!at.valid()) {
    if (errno == ENOENT) return {};  // nothing to be allowed
    return os::failed("open", path);
  }
  struct stat s;
  if (::fstat(at.get(), &s) != 0) return os::failed("look at", path);
  if (!S_ISDIR(s.st_mode)) access &= kOfFile;
  const landlock_path_beneath_attr rule{access, at.get()};
  if (::syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    return os::failed("allow", path);
  }
  return {};
}

os::Result<void> enter_landlock(const SandboxOptions& options, SandboxReport& report) {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 2) {  // 1 can't rename between directories, which the store does
    report.notes.emplace_back(abi < 0 ? "no Landlock: the kernel has none, or not switched on"
                                      : "no Landlock: the kernel's is too old");
    return {};
  }
  const RulesetAttributes handled = attributes_of(static_cast<int>(abi));
  const os::Fd ruleset(static_cast<int>(
      ::syscall(SYS_landlock_create_ruleset, &handled, size_of(static_cast<int>(abi)), 0)));
  if (!ruleset.valid()) return os::failed("make a Landlock ruleset");
  for (const std::string& path : options.read_directories) {
    if (auto allowed = allow(ruleset, path, kRead); !allowed) return allowed;
  }
  const std::uint64_t write = (kWrite | kRefer | kTruncate) & handled.files;
  for (const std::string& path : options.write_directories) {
    if (auto allowed = allow(ruleset, path, write); !allowed) return allowed;
  }
  if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return os::failed("enter Landlock's sandbox");
  }
  report.landlock = static_cast<int>(abi);
  report.network_denied = abi >= kNetworkAbi;
  report.signals_scoped = abi >= kScopeAbi;
  if (!report.network_denied) {
    report.notes.emplace_back(
        "Landlock doesn't deny TCP before Linux 6.7 (seccomp denies sockets)");
  }
  if (!report.signals_scoped) {
    report.notes.emplace_back("Landlock doesn't restrict signals before Linux 6.12");
  }
  return {};
}

const char* yes_or_no(bool yes) { return yes ? "yes" : "no"; }

}  // namespace

std::vector<std::string> library_directories() {
  return {"/usr", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache"};
}

std::string SandboxReport::text() const {
  std::string text;
  const auto line = [&text](const char* name, const std::string& value) {
    text += std::string(name) + ": " + value + "\n";
  };
  line("no_new_privs", yes_or_no(no_new_privileges));
  line("Landlock", landlock == 0 ? "no" : "ABI " + std::to_string(landlock));
  line("TCP denied by Landlock", yes_or_no(network_denied));
  line("signals to others denied by Landlock", yes_or_no(signals_scoped));
  line("seccomp", yes_or_no(seccomp));
  for (const std::string& note : notes) line("note", note);
  return text;
}

os::Result<SandboxReport> enter_sandbox(const SandboxOptions& options) {
  SandboxReport report;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return os::failed("set no_new_privs");
  report.no_new_privileges = true;
  if (auto entered = enter_landlock(options, report); !entered) {
    return std::unexpected(entered.error());
  }
  if (const int error = enter_seccomp(options.kill); error == 0) {
    report.seccomp = true;
  } else if (error == EINVAL || error == ENOSYS) {
    report.notes.emplace_back("no seccomp: the kernel has no filters");
  } else {
    return os::failed_with(error, "install the seccomp filter");
  }
  return report;
}

}  // namespace prewarm::image

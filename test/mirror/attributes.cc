// SPDX-License-Identifier: MIT
#include <errno.h>
#include <linux/capability.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "observe.h"
#include "proc.h"

#ifdef __x86_64__
#include <asm/prctl.h>
#endif

namespace mirror {
namespace {

// Newer than Debian 12's headers; a kernel that doesn't know them answers EINVAL.
constexpr int pr_get_mdwe = 66;
constexpr int pr_get_memory_merge = 68;

// prctl calls that return the value itself.
struct DirectAttribute {
  int option;
  const char* name;
};
constexpr DirectAttribute direct_attributes[] = {
    {PR_GET_DUMPABLE, "dumpable"},
    {PR_GET_NO_NEW_PRIVS, "no_new_privs"},
    {PR_GET_KEEPCAPS, "keepcaps"},
    {PR_GET_SECCOMP, "seccomp"},
    {PR_GET_SECUREBITS, "securebits"},
    {PR_GET_THP_DISABLE, "thp_disable"},
    {PR_GET_TIMING, "timing"},
    {PR_MCE_KILL_GET, "mce_kill"},
    {PR_GET_IO_FLUSHER, "io_flusher"},
    {pr_get_mdwe, "mdwe"},
    {pr_get_memory_merge, "memory_merge"},
};

// prctl calls that store an int.
constexpr DirectAttribute stored_attributes[] = {
    {PR_GET_PDEATHSIG, "pdeathsig"},
    {PR_GET_CHILD_SUBREAPER, "child_subreaper"},
    {PR_GET_TSC, "tsc"},
};

constexpr const char* status_fields[] = {
    "TracerPid",
    "Ngid",
    "Kthread",
    "NoNewPrivs",
    "Seccomp",
    "Seccomp_filters",
    "THP_enabled",
    "Speculation_Store_Bypass",
    "SpeculationIndirectBranch",
    "untag_mask",
    "CoreDumping",
    "Cpus_allowed_list",
    "Mems_allowed_list",
    "Threads",
    "VmLck",
    "VmPin",
};

constexpr const char* proc_files[] = {
    "oom_score_adj", "coredump_filter", "loginuid",     "sessionid", "uid_map",
    "gid_map",       "setgroups",       "attr/current", "cpuset",    "timens_offsets",
};

constexpr const char* namespaces[] = {
    "cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children",
    "user",   "uts",
};

void observe_prctl(Report& report) {
  for (const auto& [option, name] : direct_attributes) {
    const int value = prctl(option, 0, 0, 0, 0);
    report.add(std::string("attribute.") + name,
               value >= 0 ? std::to_string(value) : error_text(errno));
  }
  for (const auto& [option, name] : stored_attributes) {
    int value = -1;
    const bool done = prctl(option, &value, 0, 0, 0) == 0;
    report.add(std::string("attribute.") + name, done ? std::to_string(value) : error_text(errno));
  }
  for (const int feature : {PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH}) {
    const int value = prctl(PR_GET_SPECULATION_CTRL, feature, 0, 0, 0);
    report.add("attribute.speculation_" + std::to_string(feature),
               value >= 0 ? std::to_string(value) : error_text(errno));
  }
}

#ifdef __x86_64__
constexpr long arch_get_xcomp_perm = 0x1022;  // newer than Debian 12's headers
constexpr long arch_shstk_status = 0x5005;

void observe_machine(Report& report) {
  report.add_number("attribute.cpuid_allowed", syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0));
  unsigned long gs = 0;
  const long got = syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
  report.add("attribute.gs_base", got == 0 ? hexadecimal(gs) : error_text(errno));
  unsigned long features = 0;
  const bool known = syscall(SYS_arch_prctl, arch_get_xcomp_perm, &features) == 0;
  report.add("attribute.xcomp_permitted", known ? hexadecimal(features) : error_text(errno));
  features = 0;
  const bool shadow = syscall(SYS_arch_prctl, arch_shstk_status, &features) == 0;
  report.add("attribute.shadow_stack", shadow ? hexadecimal(features) : error_text(errno));
}
#else
void observe_machine(Report&) {}
#endif

// Of the kernel's PF_* task flags (proc(5), stat field 9) only these two say something about how
// the process came to be; the others change by the moment.
void observe_task_flags(Report& report) {
  constexpr unsigned long forked_without_exec = 0x40;
  constexpr unsigned long randomized = 0x400000;
  const auto fields = stat_fields("self");
  if (fields.size() < 42) {
    report.add("task.flags", "unknown");
    return;
  }
  const unsigned long flags = std::stoul(fields[9 - 3]);
  report.add_yes_no("task.forked_without_exec", (flags & forked_without_exec) != 0);
  report.add_yes_no("task.addresses_randomized", (flags & randomized) != 0);
  report.add("task.exit_signal", fields[38 - 3]);
  report.add("task.state", fields[3 - 3]);
}

}  // namespace

void observe_attributes(Report& report) {
  const int value = personality(0xffffffff);
  report.add("attribute.personality",
             value >= 0 ? hexadecimal(static_cast<unsigned>(value)) : error_text(errno));
  observe_prctl(report);
  observe_machine(report);
  observe_task_flags(report);
}

void observe_capabilities(Report& report) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) == 0) {
    const auto both = [](unsigned low, unsigned high) {
      return hexadecimal(static_cast<unsigned long long>(high) << 32 | low);
    };
    report.add("capability.effective", both(data[0].effective, data[1].effective));
    report.add("capability.permitted", both(data[0].permitted, data[1].permitted));
    report.add("capability.inheritable", both(data[0].inheritable, data[1].inheritable));
  }
  const auto status = read_file("/proc/self/status").value_or("");
  report.add("capability.bounding", field_value(status, "CapBnd").value_or("unknown"));
  report.add("capability.ambient", field_value(status, "CapAmb").value_or("unknown"));
}

// What the kernel shows the process of the system, and in /proc of itself.
void observe_system_view(Report& report) {
  const auto status = read_file("/proc/self/status").value_or("");
  for (const char* const field : status_fields) {
    report.add(std::string("status.") + field, field_value(status, field).value_or("unknown"));
  }
  for (const char* const file : proc_files) {
    report.add(std::string("proc.") + file,
               file_value((std::string("/proc/self/") + file).c_str()));
  }
  for (const char* const name : namespaces) {
    report.add(std::string("namespace.") + name,
               link_value((std::string("/proc/self/ns/") + name).c_str()));
  }
  report.add("cgroup", file_value("/proc/self/cgroup"));
}

}  // namespace mirror

// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "observe.h"
#include "proc.h"

namespace mirror {
namespace {

struct NamedLimit {
  int resource;
  const char* name;
};

constexpr NamedLimit limits[] = {
    {RLIMIT_AS, "as"},           {RLIMIT_CORE, "core"},         {RLIMIT_CPU, "cpu"},
    {RLIMIT_DATA, "data"},       {RLIMIT_FSIZE, "fsize"},       {RLIMIT_LOCKS, "locks"},
    {RLIMIT_MEMLOCK, "memlock"}, {RLIMIT_MSGQUEUE, "msgqueue"}, {RLIMIT_NICE, "nice"},
    {RLIMIT_NOFILE, "nofile"},   {RLIMIT_NPROC, "nproc"},       {RLIMIT_RSS, "rss"},
    {RLIMIT_RTPRIO, "rtprio"},   {RLIMIT_RTTIME, "rttime"},     {RLIMIT_SIGPENDING, "sigpending"},
    {RLIMIT_STACK, "stack"},
};

std::string limit_value(rlim_t value) {
  return value == RLIM_INFINITY ? "unlimited" : std::to_string(value);
}

// struct sched_attr of sched_setattr(2), first version.
struct SchedulingAttributes {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime;
  std::uint64_t deadline;
  std::uint64_t period;
};

// runtime isn't shown: since Linux 6.12 it is the slice, which the scheduler may set itself.
std::string scheduling_attributes() {
  SchedulingAttributes attributes{};
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) {
    return error_text(errno);
  }
  return "policy " + std::to_string(attributes.policy) + " flags " + hexadecimal(attributes.flags) +
         " nice " + std::to_string(attributes.nice) + " priority " +
         std::to_string(attributes.priority) + " deadline " + std::to_string(attributes.deadline) +
         " period " + std::to_string(attributes.period);
}

std::string affinity() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return error_text(errno);
  std::string text;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) text += (text.empty() ? "" : " ") + std::to_string(cpu);
  }
  return text;
}

std::string memory_policy() {
  int mode = 0;
  unsigned long nodes[16] = {};
  if (syscall(SYS_get_mempolicy, &mode, nodes, sizeof nodes * 8, nullptr, 0) != 0) {
    return error_text(errno);
  }
  return "mode " + std::to_string(mode) + " nodes " + hexadecimal(nodes[0]);
}

std::string interval_timer(__itimer_which_t which) {
  itimerval value{};
  if (getitimer(which, &value) != 0) return error_text(errno);
  const bool armed = value.it_value.tv_sec != 0 || value.it_value.tv_usec != 0;
  const bool repeats = value.it_interval.tv_sec != 0 || value.it_interval.tv_usec != 0;
  return std::string(armed ? "armed" : "off") + (repeats ? " repeating" : "");
}

}  // namespace

void observe_limits(Report& report) {
  for (const auto& [resource, name] : limits) {
    rlimit64 limit{};
    const std::string key = std::string("limit.") + name;
    if (prlimit64(0, static_cast<__rlimit_resource>(resource), nullptr, &limit) != 0) {
      report.add_error(key, errno);
      continue;
    }
    report.add(key, "soft " + limit_value(limit.rlim_cur) + " hard " + limit_value(limit.rlim_max));
  }
  report.add_number("limit.sysconf_open_max", sysconf(_SC_OPEN_MAX));
  report.add_number("limit.sysconf_arg_max", sysconf(_SC_ARG_MAX));
  report.add_number("limit.sysconf_processors", sysconf(_SC_NPROCESSORS_ONLN));
}

void observe_scheduling(Report& report) {
  errno = 0;
  const int nice = getpriority(PRIO_PROCESS, 0);
  report.add("sched.nice", errno == 0 ? std::to_string(nice) : error_text(errno));
  report.add("sched.attributes", scheduling_attributes());
  report.add("sched.affinity", affinity());
  report.add("sched.memory_policy", memory_policy());
  constexpr int ioprio_who_process = 1;
  const long ioprio = syscall(SYS_ioprio_get, ioprio_who_process, 0);
  report.add("sched.ioprio",
             ioprio >= 0 ? hexadecimal(static_cast<unsigned long>(ioprio)) : error_text(errno));
  std::string autogroup = file_value("/proc/self/autogroup");  // "/autogroup-NUMBER nice N"
  const auto number_end = autogroup.find(' ');
  if (number_end != std::string::npos) autogroup.erase(0, number_end + 1);
  report.add("sched.autogroup", autogroup);
}

void observe_timers(Report& report) {
  report.add("timer.real", interval_timer(ITIMER_REAL));
  report.add("timer.virtual", interval_timer(ITIMER_VIRTUAL));
  report.add("timer.profiling", interval_timer(ITIMER_PROF));
  report.add("timer.posix", file_value("/proc/self/timers"));
  report.add_number("timer.slack_ns", prctl(PR_GET_TIMERSLACK));
  // alarm(0) cancels what it reports; the itimer above already said whether there was one.
  report.add_yes_no("timer.alarm_pending", alarm(0) != 0);
}

}  // namespace mirror

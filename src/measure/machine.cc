// SPDX-License-Identifier: MIT
#include "measure/machine.h"

#include <sched.h>
#include <sys/utsname.h>

#include <cstdlib>
#include <ctime>
#include <fstream>

namespace prewarm::measure {
namespace {

// What follows "KEY<blanks>:" on the first line of `path` that begins so.
std::string field(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const auto value = line.find_first_not_of(" \t", line.find(':') + 1);
    return value == std::string::npos ? std::string() : line.substr(value);
  }
  return {};
}

}  // namespace

Machine look_at_machine() {
  Machine machine;
  machine.processor = field("/proc/cpuinfo", "model name");
  cpu_set_t usable;
  if (::sched_getaffinity(0, sizeof usable, &usable) == 0) {
    machine.processors = static_cast<unsigned>(CPU_COUNT(&usable));
  }
  utsname names{};
  if (::uname(&names) == 0) machine.kernel = std::string(names.sysname) + " " + names.release;
  const std::time_t now = std::time(nullptr);
  tm utc{};
  char text[32] = "";
  if (::gmtime_r(&now, &utc) != nullptr) std::strftime(text, sizeof text, "%FT%TZ", &utc);
  machine.time = text;
  return machine;
}

double load_average() {
  double load = 0;
  return ::getloadavg(&load, 1) == 1 ? load : 0;
}

std::size_t available_mib() {
  return std::strtoul(field("/proc/meminfo", "MemAvailable").c_str(), nullptr, 10) / 1024;
}

}  // namespace prewarm::measure

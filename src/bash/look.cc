// SPDX-License-Identifier: GPL-3.0-or-later
//
// Starting the bash that looks at the script.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "bash/scan.h"
#include "os/shared_spawn.h"

extern "C" char** environ;

namespace prewarm::bash {
namespace {

// `bash -n` must find neither our preloading nor start-up files of its own.
bool is_wanted(const char* variable) {
  return std::strncmp(variable, "LD_PRELOAD=", 11) != 0 &&
         std::strncmp(variable, "BASH_ENV=", 9) != 0 && std::strncmp(variable, "ENV=", 4) != 0;
}

void fill(os::SharedSpawn& spawn, const std::string& script, const std::string& loadable) {
  char self[4096];
  const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self);
  spawn.path.assign(self, n > 0 ? static_cast<std::size_t>(n) : 0);
  spawn.strings.reserve(8);
  spawn.strings = {"bash",
                   "-n",
                   "--",
                   script,
                   "LD_PRELOAD=" + loadable,
                   std::string(launch::kScanVariable) + "=3"};
  for (std::size_t i = 0; i < 4; ++i) spawn.argv.push_back(spawn.strings[i].data());
  for (std::size_t i = 4; i < 6; ++i) spawn.env.push_back(spawn.strings[i].data());
  spawn.append_environment(environ, is_wanted);
  spawn.terminate();
}

}  // namespace

bool Look::start(const std::string& script, const std::string& loadable, int floor) {
  const os::Fd memory = os::move_above(os::Fd(::memfd_create("prewarm-scan", MFD_CLOEXEC)), floor);
  const os::Fd null = os::move_above(os::Fd(::open("/dev/null", O_RDWR | O_CLOEXEC)), floor);
  constexpr std::size_t kSize = sizeof(launch::ScanTable);
  if (!memory.valid() || !null.valid() || ::ftruncate(memory.get(), kSize) != 0) return false;
  void* at = ::mmap(nullptr, kSize, PROT_READ, MAP_SHARED, memory.get(), 0);
  if (at == MAP_FAILED) return false;
  table_ = static_cast<launch::ScanTable*>(at);
  // Never freed: nobody tells when the child has exec'd, and it is small.
  auto* spawn = new os::SharedSpawn;
  fill(*spawn, script, loadable);
  spawn->descriptors = {null.get(), null.get(), null.get(), memory.get()};
  pid_ = os::spawn_shared(*spawn);
  return pid_ > 0;
}

Look::~Look() {
  if (table_ != nullptr) ::munmap(table_, sizeof(launch::ScanTable));
}

}  // namespace prewarm::bash

// SPDX-License-Identifier: GPL-3.0-or-later
//
// Starting the bash that looks at the script.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "bash/scan.h"

extern "C" char** environ;

namespace prewarm::bash {
namespace {

// `bash -n` must find neither our preloading nor start-up files of its own.
bool is_wanted(const char* variable) {
  return std::strncmp(variable, "LD_PRELOAD=", 11) != 0 &&
         std::strncmp(variable, "BASH_ENV=", 9) != 0 && std::strncmp(variable, "ENV=", 4) != 0;
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
  char self[4096] = {};
  if (::readlink("/proc/self/exe", self, sizeof self - 1) <= 0) return false;
  std::string preload = "LD_PRELOAD=" + loadable;
  std::string scan = std::string(launch::kScanVariable) + "=3";
  std::vector<char*> env = {preload.data(), scan.data()};
  for (char** e = environ; *e != nullptr; ++e) {
    if (is_wanted(*e)) env.push_back(*e);
  }
  env.push_back(nullptr);
  std::string path = script;
  char bash[] = "bash";
  char only_read[] = "-n";
  char end[] = "--";
  char* const argv[] = {bash, only_read, end, path.data(), nullptr};
  const Inherited descriptors[] = {
      {null.get(), 0}, {null.get(), 1}, {null.get(), 2}, {memory.get(), 3}};
  sigset_t none;
  ::sigemptyset(&none);
  const Operation chain[] = {op::clone({.pidfd = false}).link(), op::keep_only(descriptors).link(),
                             op::signal_mask(none).link(), op::exec(self, argv, env.data())};
  constexpr std::uint32_t kDescriptorsKept = 1;
  pid_ = task_.start(chain, kDescriptorsKept);
  return pid_ > 0;
}

Look::~Look() {
  if (table_ != nullptr) ::munmap(table_, sizeof(launch::ScanTable));
}

}  // namespace prewarm::bash

// SPDX-License-Identifier: MIT
//
// What is read of a program's file before it is parked, or preloaded into: any bytes get a reason,
// and a file that may be parked is what it has to be.
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "invariant.h"
#include "os/fd.h"
#include "park/eligibility.h"
#include "park/part.h"

namespace {

using prewarm::launch::Reason;
using prewarm::park::check_program;
using prewarm::park::Eligibility;

// One file for all inputs; its name is that of a file in a directory of installed software.
class File {
 public:
  File() : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    PREWARM_MUST(fd_.valid());
    path_ = "/proc/self/fd/" + std::to_string(fd_.get());
  }
  void set(const std::uint8_t* data, std::size_t size) {
    PREWARM_MUST(::ftruncate(fd_.get(), 0) == 0);
    PREWARM_MUST(::pwrite(fd_.get(), data, size, 0) == static_cast<ssize_t>(size));
  }
  bool fits_into_itself() const { return prewarm::park::fits_into(path_.c_str(), path_.c_str()); }
  Eligibility check() const { return check_program(path_.c_str(), "/proc/self/fd"); }

 private:
  prewarm::os::Fd fd_;
  std::string path_;
};

void check_parkable(std::string_view bytes) {
  Elf64_Ehdr header;
  PREWARM_MUST(bytes.size() >= sizeof header);
  std::memcpy(&header, bytes.data(), sizeof header);
  PREWARM_MUST(std::memcmp(header.e_ident, ELFMAG, SELFMAG) == 0);
  PREWARM_MUST(header.e_ident[EI_CLASS] == ELFCLASS64);
  PREWARM_MUST(header.e_phnum > 0);
  PREWARM_MUST(bytes.find("/ld-linux-") != std::string_view::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static File file;
  file.set(data, size);
  const Eligibility first = file.check();
  bool of_the_format = false;
  switch (first.reason) {
    case Reason::none:
    case Reason::unreadable:
    case Reason::not_elf:
    case Reason::wrong_machine:
    case Reason::static_program:
    case Reason::foreign_libc:
    case Reason::unusual_entry:
    case Reason::own_search_path:
      of_the_format = true;
      break;
    default:
      break;
  }
  PREWARM_MUST(of_the_format);
  PREWARM_MUST(first.identity.size == size);
  PREWARM_MUST(file.check().reason == first.reason);
  PREWARM_MUST(!file.fits_into_itself() || first.reason == Reason::none ||
               first.reason == Reason::own_search_path);
  if (first.reason == Reason::none) {
    check_parkable({reinterpret_cast<const char*>(data), size});
    for (const auto& directory : first.search_directories) {
      PREWARM_MUST(directory.starts_with('/'));
      PREWARM_MUST(directory.find('$') == std::string::npos);
    }
    // Without its first segment's headers it is nothing.
    file.set(data, sizeof(Elf64_Ehdr));
    PREWARM_MUST(file.check().reason != Reason::none);
  }
  return 0;
}

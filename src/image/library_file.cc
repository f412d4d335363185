// SPDX-License-Identifier: MIT
#include "image/library_file.h"

#include <errno.h>

#include <utility>

namespace prewarm::image {

os::Result<std::shared_ptr<const LibraryFile>> open_library(const std::string& path) {
  auto mapped = MappedFile::open(path.c_str());
  if (!mapped) return std::unexpected(mapped.error());
  Diagnostics diagnostics;
  auto elf = ElfFile::read(mapped->bytes(), diagnostics);
  if (!elf) {
    return os::failed_with(ENOEXEC, "read the ELF file", path + " (" + diagnostics.first() + ")");
  }
  return std::make_shared<const LibraryFile>(std::move(*mapped), std::move(*elf));
}

}  // namespace prewarm::image

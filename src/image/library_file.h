// SPDX-License-Identifier: MIT
//
// A program or library on disk, open and read.
#pragma once

#include <memory>
#include <string>

#include "image/elf_file.h"
#include "image/mapped_file.h"
#include "os/result.h"

namespace prewarm::image {

struct LibraryFile {
  MappedFile mapped;
  ElfFile elf;  // of its bytes
};

// An error says what can't be read, or what is wrong with it.
os::Result<std::shared_ptr<const LibraryFile>> open_library(const std::string& path);

}  // namespace prewarm::image

// SPDX-License-Identifier: MIT
//
// Which files ld.so of glibc would load for a program, in which order, and what it would look at on
// the way: the search of elf/dl-load.c and elf/dl-deps.c of glibc 2.36, without loading anything.
//
// Not for what ld.so does in secure mode (set-user-id), nor with LD_PRELOAD, LD_AUDIT or
// /etc/ld.so.preload (`preloads` says that this is there). DT_FILTER and DT_AUXILIARY, which change
// the order, are refused.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image/elf_file.h"
#include "image/file_reader.h"
#include "image/library_cache.h"
#include "image/loader_facts.h"
#include "os/file_identity.h"
#include "os/result.h"

namespace prewarm::image {

enum class FoundBy : std::uint8_t {
  program,           // it is the program
  loader,            // it is the dynamic linker, which is there already
  rpath,             // DT_RPATH, of who needs it or of one of those on whose behalf that was loaded
  library_path,      // LD_LIBRARY_PATH
  runpath,           // DT_RUNPATH of who needs it
  cache,             // /etc/ld.so.cache
  system_directory,  // the linker's own list
  path,              // the name has a slash
};
const char* name_of(FoundBy rule);

struct ClosureObject {
  std::string path;             // l_name as ld.so will have it; of the program, as it was given
  std::string name;             // under which it was needed first
  std::uint32_t needed_by = 0;  // by whom: an index in `objects`; l_loader
  FoundBy found_by = FoundBy::program;
  os::FileIdentity identity;
  ElfFile elf;                        // in the closure's memory
  std::vector<std::uint32_t> needed;  // by DT_NEEDED, in its order, without those that are missing
};

struct MissingLibrary {
  std::string name;
  std::uint32_t needed_by;
};

// A directory in which something was looked for.
struct LookedIn {
  std::string path;  // "", or ends with a slash
  bool exists;       // if not, nothing was looked for below it
  // What isn't there, or can't be read, or is for another machine: if that changes, so does the
  // closure. Sorted.
  std::vector<std::string> absent;
};

struct ClosureRequest {
  std::string program;       // a path; relative ones to the current directory
  std::string library_path;  // LD_LIBRARY_PATH; empty: not set
  const LoaderFacts* facts;
  const LibraryCache* cache = nullptr;  // null: there is none
};

struct Closure {
  FileReader reader;  // has the bytes of all files
  // In the order of ld.so's search for symbols (breadth first): the program is the first. The
  // linker itself stands where it is first needed, or last.
  std::vector<ClosureObject> objects;
  std::vector<MissingLibrary> missing;  // if any: ld.so would end the program
  std::vector<LookedIn> looked_in;
  // One of the directories or names is relative: right for the current directory only.
  bool needs_working_directory = false;
  bool preloads = false;  // /etc/ld.so.preload exists
};

// An error names the first file that can't be used, and why. Stops there as ld.so would; or
// earlier, with files that ElfFile doesn't take.
os::Result<Closure> resolve_closure(const ClosureRequest& request,
                                    FileReader reader = FileReader());

}  // namespace prewarm::image

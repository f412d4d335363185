// SPDX-License-Identifier: MIT
//
// Entries (image/entry.h): files that start a program from its image, to be put first on PATH.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "os/result.h"

namespace prewarm::cli {

struct InstallOptions {
  std::vector<std::string> programs;
  std::string directory;  // --dir; empty: default_entry_directory()
  bool by_path = false;   // programs are told their path as their name
  bool json = false;
};

int image_install(const InstallOptions& options);
int image_uninstall(const InstallOptions& options);

// ~/.local/lib/prewarm/bin; empty without $HOME.
std::string default_entry_directory();

// The program that the file at `path` is an entry of; nothing: it is none.
std::optional<std::string> program_of_entry(const std::string& path);

// The file of a program by its name, absolute, symbolic links kept; of an entry, what it stands
// for. Empty: there is none.
std::string find_real_program(const std::string& name);

}  // namespace prewarm::cli

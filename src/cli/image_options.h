// SPDX-License-Identifier: MIT
//
// The command lines of `prewarm exec` and `prewarm image`.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/exec.h"
#include "cli/image.h"
#include "cli/image_entry.h"
#include "cli/image_explain.h"

namespace prewarm::cli {

struct ImageOptions {
  ImageBuildOptions build;
  InstallOptions install;
  ExplainOptions explain;
  std::string program;  // verify, rm
  bool json = false;
};

void add_exec(CLI::App& app, ExecOptions& options);
void add_image(CLI::App& app, ImageOptions& options);
int run_image(const CLI::App& app, const ImageOptions& options);

}  // namespace prewarm::cli

// SPDX-License-Identifier: MIT
#include "cli/image_options.h"

namespace prewarm::cli {

void add_exec(CLI::App& app, ExecOptions& options) {
  auto* exec = app.add_subcommand("exec", "Start a program from its image, ready linked");
  exec->footer(
      "Everything after PROGRAM goes to it. The process becomes the program, as with the shell's "
      "exec; without an image it starts as usual, and one is made for the next time. 126, 127: "
      "PROGRAM can't be executed, or was not found.");
  exec->prefix_command();
  exec->allow_extras();
  exec->add_option("--image", options.image, "Use the image in FILE, and don't ask the service")
      ->type_name("FILE");
  exec->callback([exec, &options] {
    options.command = exec->remaining();
    if (options.command.empty()) throw CLI::RequiredError("PROGRAM");
  });
}

void add_image(CLI::App& app, ImageOptions& options) {
  auto* image = app.add_subcommand("image", "Make, list, check and remove images of programs");
  image->require_subcommand(1);
  auto* build = image->add_subcommand("build", "Make the image of a program");
  build->add_option("PROGRAM", options.build.program, "A path, or a name on PATH")->required();
  build->add_option("-o,--output", options.build.output, "Write it to FILE")->type_name("FILE");
  build->add_option("--to-descriptor", options.build.to_descriptor)->group("");
  build->add_flag("--json", options.build.json, "Print JSON");
  auto* pack = build->add_flag_callback(
      "--pack", [&options] { options.build.packing = image::Packing::always; },
      "Put its libraries together, few or many");
  build
      ->add_flag_callback(
          "--no-pack", [&options] { options.build.packing = image::Packing::never; },
          "Leave each library to itself")
      ->excludes(pack);
}

int run_image(const CLI::App& app, const ImageOptions& options) {
  (void)app;
  return image_build(options.build);
}

}  // namespace prewarm::cli

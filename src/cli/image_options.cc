// SPDX-License-Identifier: MIT
#include "cli/image_options.h"

namespace prewarm::cli {
namespace {

void add_build(CLI::App& image, ImageBuildOptions& options) {
  auto* build = image.add_subcommand("build", "Make the image of a program, and have it kept");
  build->add_option("PROGRAM", options.program, "A path, or a name on PATH")->required();
  build
      ->add_option("-o,--output", options.output,
                   "Write it to FILE, instead of having the service keep it")
      ->type_name("FILE");
  auto* builder = build->add_option("--to-descriptor", options.to_descriptor)->group("");
  build->add_option("--preload", options.preload)->group("")->needs(builder);
  build->add_flag("--json", options.json, "Print JSON");
  auto* pack = build->add_flag_callback(
      "--pack", [&options] { options.packing = image::Packing::always; },
      "Put its libraries together, few or many");
  build
      ->add_flag_callback(
          "--no-pack", [&options] { options.packing = image::Packing::never; },
          "Leave each library to itself")
      ->excludes(pack);
}

void add_keeping(CLI::App& image, ImageOptions& options) {
  const auto add = [&](const char* name, const char* text) {
    auto* command = image.add_subcommand(name, text);
    command->add_flag("--json", options.json, "Print JSON");
    return command;
  };
  add("ls", "List the images, in memory and on the disk");
  add("verify", "Check images, byte by byte")
      ->add_option("PROGRAM", options.program, "Only those of this program");
  add("gc", "Release what no process uses, and what there is no room for");
  add("rm", "Remove the images of a program")
      ->add_option("PROGRAM", options.program, "A path, or a name on PATH")
      ->required();
}

void add_entries(CLI::App& image, InstallOptions& options) {
  const auto add = [&](const char* name, const char* text) {
    auto* command = image.add_subcommand(name, text);
    command->add_option("PROGRAM", options.programs, "A path, or a name on PATH")->required();
    command->add_option("--dir", options.directory, "Where; usually ~/.local/lib/prewarm/bin")
        ->type_name("DIR");
    command->add_flag("--json", options.json, "Print JSON");
    return command;
  };
  add("install", "Make entries for PATH, which start programs from their images")
      ->add_flag("--by-path", options.by_path,
                 "Programs are told their path as their name, not the caller's word");
  add("uninstall", "Remove such entries");
}

void add_explain(CLI::App& image, ExplainOptions& options) {
  auto* explain = image.add_subcommand(
      "explain", "Show where the time of a program's start goes, stock and from its image");
  explain->add_option("PROGRAM", options.program, "A path, or a name on PATH")->required();
  explain->add_flag("--json", options.json, "Print JSON");
  explain->add_option("--html", options.html, "Write a page with a picture to FILE")
      ->type_name("FILE");
}

}  // namespace

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
  exec->add_option("--path", options.path,
                   "Execute FILE; PROGRAM is only what it is told as its name")
      ->type_name("FILE");
  exec->add_flag("--wait", options.wait, "Wait until there is an image, if there can be one");
  exec->add_flag("--always", options.always, "Use the image even where starting takes longer so");
  exec->add_flag("--explain", options.explain,
                 "Say on standard error whether an image is used, or why not");
  exec->callback([exec, &options] {
    options.command = exec->remaining();
    if (options.command.empty()) throw CLI::RequiredError("PROGRAM");
  });
}

void add_image(CLI::App& app, ImageOptions& options) {
  auto* image = app.add_subcommand("image", "Make, list, check and remove images of programs");
  image->require_subcommand(1);
  add_build(*image, options.build);
  add_keeping(*image, options);
  add_entries(*image, options.install);
  add_explain(*image, options.explain);
}

int run_image(const CLI::App& app, const ImageOptions& options) {
  const std::string given = app.get_subcommand("image")->get_subcommands().front()->get_name();
  if (given == "ls") return image_list(options.json);
  if (given == "verify") return image_verify(options.program, options.json);
  if (given == "gc") return image_collect_garbage(options.json);
  if (given == "rm") return image_remove(options.program, options.json);
  if (given == "explain") return image_explain(options.explain);
  if (given == "install") return image_install(options.install);
  if (given == "uninstall") return image_uninstall(options.install);
  return image_build(options.build);
}

}  // namespace prewarm::cli

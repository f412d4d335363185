// SPDX-License-Identifier: MIT
#include "cli/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "cli/commands.h"
#include "cli/image_service.h"
#include "cli/locate.h"
#include "image/audit_variable.h"
#include "image/eligible.h"
#include "image/exec_direct.h"
#include "image/image.h"
#include "image/memfd.h"
#include "image/wire.h"
#include "os/argv.h"

namespace prewarm::cli {
namespace {

using image::Refusal;

constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

int fail(int status, const std::string& text) {
  complain(text);
  return status;
}

// Whether the file is an image; if not, why in full.
Refusal check_file(const std::string& file, std::string& why) {
  const os::Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    why = std::strerror(errno);
    return Refusal::no_image;
  }
  const auto mapping = image::Mapping::of(fd);
  const auto opened = mapping ? image::Image::open(mapping->bytes())
                              : os::Result<image::Image>(std::unexpected(mapping.error()));
  if (opened) return Refusal::none;
  why = opened.error().message();
  return opened.error().code == EPROTONOSUPPORT ? Refusal::other_version : Refusal::damaged;
}

// Why there is no image to start from; none: there is one.
Refusal get_image(const ExecOptions& options, const std::string& program) {
  if (image::has_loader_variables(environ)) return Refusal::loader_variables;
  if (!options.image.empty()) {
    std::string why;
    const Refusal refusal = check_file(options.image, why);
    if (options.explain && refusal != Refusal::none) complain(options.image + ": " + why);
    // Otherwise the front has tried it: it can't open a file that the image names.
    const bool is_first = options.wait || options.explain;
    return refusal == Refusal::none && !is_first ? Refusal::stale : refusal;
  }
  if (!options.wait && !options.explain) {
    // The front didn't find a service.
    start_service_unnoticed();
    return Refusal::no_service;
  }
  if (const Refusal refusal = image::check_program(program); refusal != Refusal::none) {
    return refusal;
  }
  if (options.wait) {
    if (const auto service = have_service(); !service) complain(service.error().message());
  }
  const bool pays_always = options.always || image::may_start_directly();
  const auto given = ask_for_image(
      absolute(program), {.flags = image::kMapBuild | (options.wait ? image::kMapWait : 0),
                          .fewest_regions = pays_always ? 0 : image::kFewestForExec});
  if (given) return check_conditions(*given);
  if (given.error() == Refusal::no_service) start_service_unnoticed();
  return given.error();
}

// By the front (image/exec_front.h), which needs a process in which nothing has happened yet.
void start_from_image(const ExecOptions& options, const std::string& program) {
  std::vector<std::string> words{"prewarm", "exec"};
  if (!options.image.empty()) words.insert(words.end(), {"--image", options.image});
  if (options.always) words.emplace_back("--always");
  words.insert(words.end(), {"--path", program, "--"});
  words.insert(words.end(), options.command.begin(), options.command.end());
  ::execv("/proc/self/exe", os::pointers(words).data());
}

int start_stock(const ExecOptions& options, const std::string& program) {
  ::execv(program.c_str(), os::pointers(options.command).data());
  const int error = errno;
  if (error == ENOENT && ::access(program.c_str(), F_OK) != 0) {
    return fail(kNotFound, program + ": there is no such file");
  }
  return fail(kNotExecutable, program + ": can't be executed: " + std::strerror(error));
}

}  // namespace

int exec_program(const ExecOptions& options) {
  const std::string& name = options.command.front();
  const std::string program = options.path.empty() ? find_on_path(name) : options.path;
  if (program.empty()) return fail(kNotFound, name + ": command not found");
  if (::access(program.c_str(), F_OK) == 0) {
    const Refusal refusal = get_image(options, program);
    const std::string sentence(image::refusal_sentence(refusal));
    if (options.explain && refusal == Refusal::none) complain(program + ": " + sentence);
    if (options.explain && refusal != Refusal::none) {
      complain(program + ": stock loader: " + sentence);
    }
    if (refusal == Refusal::none) start_from_image(options, program);
  }
  return start_stock(options, program);
}

}  // namespace prewarm::cli

// SPDX-License-Identifier: MIT
#include "image/exec_image.h"

#include "image/audit_variable.h"
#include "image/image_start.h"

namespace prewarm::image {
namespace {

// Builds run what they have just made, a thousand different programs, each of them once.
constexpr std::int64_t kLeastAgeSeconds = 60;

}  // namespace

void exec_from_image(const char* restorer, const char* path, char* const* argv,
                     char* const* environment) {
  if (path[0] != '/' || has_loader_variables(environment)) return;
  const MapWish wish{
      .path = path, .fewest_regions = kFewestForLaunch, .least_age_s = kLeastAgeSeconds};
  MappedImage image;
  if (map_program(environment, wish, image) != Refusal::none) return;
  char added[kAuditVariableBytes];
  if (is_image_of(image, path) && write_audit_variable(restorer, image, added)) {
    keep_over_exec(image);
    execute_with_variable(path, argv, environment, added);
  }
  close_mapped(image);
}

}  // namespace prewarm::image

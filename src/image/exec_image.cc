// SPDX-License-Identifier: MIT
#include "image/exec_image.h"

#include "image/audit_variable.h"
#include "image/format.h"
#include "image/image_start.h"
#include "image/map_client.h"

namespace prewarm::image {
namespace {

// ld.so starts first on this way, and does what it does before it loads anything. That is more than
// mapping a few libraries takes; an image is known by how many regions it has.
constexpr std::uint64_t kFewestRegions = 80;

bool pays(const MappedImage& image) {
  return image.context >= sizeof(ImageHeader) + kFewestRegions * sizeof(ImageRegion);
}

bool is_absolute(const char* path) { return path[0] == '/'; }

}  // namespace

void exec_from_image(const char* restorer, const char* path, char* const* argv,
                     char* const* environment) {
  if (!is_absolute(path) || has_loader_variables(environment)) return;
  MappedImage image;
  if (map_program(environment, path, image) != Refusal::none) return;
  char added[kPathBytes + kMaxMappedFiles * 8];
  if (pays(image) && is_image_of(image, path) &&
      write_audit_variable(restorer, image, added, sizeof added)) {
    execute_with_variable(path, argv, environment, added);
  }
  close_mapped(image);
}

}  // namespace prewarm::image

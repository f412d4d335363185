// SPDX-License-Identifier: MIT
//
// The loader service as the command uses it: started on demand, and asked for images.
#pragma once

#include <string>
#include <vector>

#include "image/refusal.h"
#include "image/service_client.h"
#include "os/fd.h"
#include "os/result.h"

namespace prewarm::cli {

// An image that the service has given.
struct GivenImage {
  os::Fd image;
  std::vector<os::Fd> files;
};

// RLIMIT_STACK of this process, soft.
std::uint64_t own_stack_limit();

// As in image/wire.h.
struct ImageWish {
  std::uint32_t flags = 0;
  std::uint64_t stack_limit = own_stack_limit();
  std::uint32_t fewest_regions = 0;
  std::string preload{};
};

// Asks for the image of the program at `path` (absolute). With kMapWait it waits as long as the
// service builds.
std::expected<GivenImage, image::Refusal> ask_for_image(const std::string& path,
                                                        const ImageWish& wish);

// none: a process that is started here and now could use this image, as far as can be told.
image::Refusal check_conditions(const GivenImage& given);

// Has a service start, if that hasn't just been tried, and doesn't wait for it: it is no child of
// this process, and has none of its descriptors.
void start_service_unnoticed();

// One that serves; it is started if need be.
os::Result<void> have_service();

}  // namespace prewarm::cli

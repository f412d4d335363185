// SPDX-License-Identifier: MIT
//
// What images there are: in the service's memory and in the store on the disk, as one list.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "image/service_client.h"
#include "image/store.h"
#include "os/result.h"

namespace prewarm::cli {

struct KnownImage {
  std::string program;
  std::string preloaded;     // see image::MapTarget
  std::uint64_t bytes = 0;   // in memory
  std::uint64_t stored = 0;  // on the disk; 0: it isn't there
  bool is_hot = false;       // in memory; then also what follows is known
  std::uint64_t libraries = 0, packed = 0, regions = 0, stack_limit = 0, references = 0, served = 0;
  std::optional<std::uint64_t> unused_seconds;
};

struct KnownFailure {
  std::string program;
  std::string preloaded;
  std::string refusal;  // its name
};

struct KnownImages {
  bool has_service = false;
  std::vector<KnownImage> images;  // by program
  std::vector<KnownFailure> failures;
};

// The user's store. ENOENT: there is none (neither $XDG_CACHE_HOME nor $HOME is set).
os::Result<image::Store> open_store();

// The service if one serves; nothing: none does. Other errors are errors.
os::Result<std::optional<image::ServiceClient>> find_running_service();

os::Result<KnownImages> known_images();

// The file that an image of this program has in its list: symbolic links followed.
std::string real_path(const std::string& program);

}  // namespace prewarm::cli

// SPDX-License-Identifier: MIT
//
// Whether a file is what it was when an image was made from it.
//
// Restrictions: as restorer_core.h.
#pragma once

#include "image/format.h"
#include "os/file_identity.h"

namespace prewarm::image {

inline os::FileIdentity identity_of(const ImageFile& file) {
  return {file.device, file.inode, file.size, file.modified_ns, file.changed_ns};
}

inline void set_identity(ImageFile& file, const os::FileIdentity& identity) {
  file.device = identity.device;
  file.inode = identity.inode;
  file.size = identity.size;
  file.modified_ns = identity.modified_ns;
  file.changed_ns = identity.changed_ns;
}

inline bool is_same_file(const ImageFile& file, const struct ::stat& now) {
  return identity_of(file) == os::FileIdentity::of(now);
}

}  // namespace prewarm::image

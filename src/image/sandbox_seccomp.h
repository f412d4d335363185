// SPDX-License-Identifier: MIT
//
// The system calls that the loader service may make once it serves.
#pragma once

namespace prewarm::image {

// Everything that isn't on the list fails with EPERM (clone3: ENOSYS, so that the C library takes
// clone), or ends the process if `kill`. 0 or an errno.
int enter_seccomp(bool kill);

}  // namespace prewarm::image

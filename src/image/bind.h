// SPDX-License-Identifier: MIT
//
// Binds in an image what ld.so leaves for the first call of each function (lazy binding): then no
// process that is started from it has to look for it, or to write to the page that it stands in.
//
// Nobody can tell: the first definition in the global scope wins whenever it is looked for, what is
// loaded later comes behind it in that scope, and what isn't found now is left as it is. Later
// libraries are bound as ever; this isn't LD_BIND_NOW, which ld.so would remember.
#pragma once

#include <cstdint>

#include "image/capture.h"
#include "image/capture_memory.h"
#include "image/pack_link.h"
#include "os/result.h"

namespace prewarm::image {

// Those of one object that ld.so has relocated. Does nothing if there is something in it that our
// linker doesn't do.
void bind_object(Linker& linker, CaptureMemory& memory, std::uint32_t object);

// Those of all objects of a capture without packed libraries, and takes libraries whose
// constructors do nothing out of the order in which they are called; for CaptureOptions::linked.
// Does nothing with a glibc whose data isn't known.
os::Result<void> bind_all(Capture& capture, const Linker::Call& call);

// The objects as the linker wants them. `open` gives an object's file, or null for one without.
os::Result<std::vector<LinkObject>> link_objects(
    const Capture& capture, CaptureMemory& memory, const class LoaderView& loader,
    const std::function<os::Result<std::shared_ptr<const LibraryFile>>(const CapturedObject&)>&
        open);

}  // namespace prewarm::image

// SPDX-License-Identifier: MIT
#include "image/bind.h"

#include <elf.h>

#include <cstring>
#include <utility>

#include "image/glibc_layout.h"
#include "image/pack_unique.h"

namespace prewarm::image {

using os::Result;

void bind_object(Linker& linker, CaptureMemory& memory, std::uint32_t object) {
  const auto& known = linker.objects()[object];
  if (!known.file || !known.file->elf.tag(DT_JMPREL)) return;
  const auto words = linker.link(object);
  if (!words) return;
  const auto& elf = known.file->elf;
  for (const auto& word : *words) {
    if (word.type != R_X86_64_JUMP_SLOT || word.left_lazy) continue;
    // Not bound yet: it leads to where the file says, into the object's own PLT.
    const auto in_file = elf.bytes_at(word.address - known.base, sizeof(std::uint64_t));
    std::uint64_t unbound = 0;
    if (in_file.size() != sizeof unbound) continue;
    std::memcpy(&unbound, in_file.data(), sizeof unbound);
    if (memory.word(word.address) != known.base + unbound) continue;
    memory.put(word.address, word.value);
  }
}

Result<std::vector<LinkObject>> link_objects(
    const Capture& capture, CaptureMemory& memory, const LoaderView& loader,
    const std::function<Result<std::shared_ptr<const LibraryFile>>(const CapturedObject&)>& open) {
  const auto& layout = loader.layout().map;
  std::vector<LinkObject> objects;
  objects.reserve(capture.objects.size());
  for (const auto& object : capture.objects) {
    LinkObject result;
    result.base = object.base;
    result.tls_module = memory.word(object.link_map + layout.tls_module);
    result.tls_offset = memory.word(object.link_map + layout.tls_offset);
    if (object.base != capture.vdso.code) {
      auto file = open(object);
      if (!file) return std::unexpected(file.error());
      result.file = std::move(*file);
    }
    objects.push_back(std::move(result));
  }
  return objects;
}

Result<void> bind_all(Capture& capture, const Linker::Call& call) {
  CaptureMemory memory(capture);
  const auto loader = LoaderView::open(capture, memory);
  if (!loader) return {};
  auto objects = link_objects(capture, memory, *loader,
                              [](const auto& object) { return open_library(object.path); });
  if (!objects) return {};
  Linker linker(std::move(*objects), loader->scope(), call);
  know_unique_symbols(capture, *loader, memory, linker);
  for (std::uint32_t i = 0; i < capture.objects.size(); ++i) bind_object(linker, memory, i);
  return {};
}

}  // namespace prewarm::image

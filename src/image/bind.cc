// SPDX-License-Identifier: MIT
#include "image/bind.h"

#include <elf.h>

#include <cstring>
#include <set>
#include <utility>

#include "image/glibc_layout.h"
#include "image/pack_constructors.h"
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

namespace {

// The address of the C library's __cxa_finalize; 0: there is none.
std::uint64_t find_finalize(const Linker& linker) {
  for (const auto& object : linker.objects()) {
    if (!object.file || object.file->elf.soname() != "libc.so.6") continue;
    const auto& elf = object.file->elf;
    const auto symbol = elf.find(Wanted("__cxa_finalize", nullptr, true));
    return symbol ? object.base + elf.raw_symbol(*symbol).st_value : 0;
  }
  return 0;
}

// Libraries with nothing but empty constructors needn't be touched at each start: as pack_move.h
// says of packed ones, in their places in the order stands the library that is called before them.
void skip_idle(const Capture& capture, CaptureMemory& memory, const LoaderView& loader,
               const Linker& linker) {
  const auto finalize = find_finalize(linker);
  std::set<std::uint64_t> idle;
  for (std::size_t i = 1; i < capture.objects.size() && finalize != 0; ++i) {
    const auto& object = linker.objects()[i];
    if (object.file && object.base != capture.loader_base &&
        has_idle_constructors(object.file->elf, object.base, finalize, memory)) {
      idle.insert(capture.objects[i].link_map);
    }
  }
  const auto count = loader.scope().size();
  for (auto i = count; i-- > 0;) {
    const auto entry = loader.init_order() + 8 * i;
    if (i + 1 != count && idle.contains(memory.word(entry))) {
      memory.put(entry, memory.word(entry + 8));
    }
  }
}

}  // namespace

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
  skip_idle(capture, memory, *loader, linker);
  return {};
}

}  // namespace prewarm::image

// SPDX-License-Identifier: MIT
//
// Makes images that are right in form, for the service's tests; nothing could be started from them.
//
//   stand_in_builder [--to FILE | --to-descriptor N] [--pack | --no-pack] PROGRAM [OPTION...]
//     --mapped FILE, --read FILE, --absent FILE   a file that the image was made from
//     --bytes N      contents of so many bytes, all different
//     --stack N      for this RLIMIT_STACK
//
// Without options after PROGRAM those in the file PROGRAM.image are taken, one word per line, if
// there is one. There, a first line `exit N`, `hang`, `garbage` or `cut` says how it fails.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "image/image_file.h"
#include "image/writer.h"

namespace {

using namespace prewarm::image;
using prewarm::os::Fd;

constexpr std::uint64_t kArena = 0x2000'0000'0000;

struct Order {
  Fd output;
  std::string program;
  std::uint64_t stack_limit = 0;
  std::uint64_t bytes = 0;
  bool pack = false;
  std::string failure;
  std::vector<FilePart> files;
};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "stand_in_builder: %s\n", what);
  std::exit(1);
}

FilePart file_part(const std::string& path, std::uint32_t flags) {
  struct stat s{};
  if ((flags & kFileAbsent) == 0 && ::stat(path.c_str(), &s) != 0) fail(path.c_str());
  FilePart part{path, {.flags = flags}};
  if ((flags & kFileAbsent) == 0) set_identity(part.file, prewarm::os::FileIdentity::of(s));
  return part;
}

void take_options(Order& order, const std::vector<std::string>& words) {
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    const std::string& name = words[i];
    const std::string& value = words[i + 1];
    if (name == "--mapped") order.files.push_back(file_part(value, kFileMapped));
    if (name == "--read") order.files.push_back(file_part(value, 0));
    if (name == "--absent") order.files.push_back(file_part(value, kFileAbsent));
    if (name == "--bytes") order.bytes = std::strtoull(value.c_str(), nullptr, 10);
    if (name == "--stack") order.stack_limit = std::strtoull(value.c_str(), nullptr, 10);
  }
}

void read_options(Order& order) {
  std::ifstream file(order.program + ".image");
  std::vector<std::string> words;
  for (std::string line; std::getline(file, line);) words.push_back(line);
  if (!words.empty() && !words[0].starts_with("--")) {
    order.failure = words[0];
    words.erase(words.begin());
  }
  take_options(order, words);
}

Order parse(int argc, char** argv) {
  Order order;
  rlimit stack{};
  ::getrlimit(RLIMIT_STACK, &stack);
  order.stack_limit = stack.rlim_cur;
  std::string preload;
  int at = 1;
  for (; at < argc && argv[at][0] == '-'; ++at) {
    const std::string word = argv[at];
    if (word == "--pack") order.pack = true;
    if (word == "--to" && at + 1 < argc) {
      order.output = Fd(::open(argv[++at], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    }
    if (word == "--preload" && at + 1 < argc) preload = argv[++at];
    if (word == "--to-descriptor" && at + 1 < argc) order.output = Fd(std::atoi(argv[++at]));
  }
  if (at >= argc || !order.output.valid()) fail("usage");
  order.program = argv[at++];
  order.files.push_back(file_part(order.program, kFileProgram | kFileMapped));
  order.files.push_back(file_part("/lib64/ld-linux-x86-64.so.2", kFileLoader));
  if (!preload.empty()) order.files.push_back(file_part(preload, kFilePreloaded));
  if (at == argc) {
    read_options(order);
  } else {
    take_options(order, {argv + at, argv + argc});
  }
  return order;
}

ImageParts parts_of(const Order& order, const std::vector<std::uint8_t>& text,
                    const std::vector<std::uint8_t>& data) {
  ImageParts parts;
  ImageHeader& h = parts.header;
  h.arena_begin = kArena;
  h.arena_end = kArena + 0x10'0000'0000;
  h.start = h.entry = h.unmap_gadget = kArena + 0x10;
  h.program_headers = h.loader_base = kArena;
  // Other files and limits make other images.
  h.key[0] = std::hash<std::string>()(order.program);
  for (const FilePart& part : order.files) {
    h.key[0] = h.key[0] * 31 + static_cast<std::uint64_t>(part.file.changed_ns);
  }
  h.key[1] = order.stack_limit * 2 + (order.pack ? 1 : 0);
  h.objects = 3;
  h.packed = order.pack ? 2 : 0;
  const std::uint64_t data_begin = kArena + 0x1000;
  h.thread = {data_begin + 0x100, data_begin + 0x200, data_begin + 0x300, 24, 0, 0, 0};
  h.vdso = {kArena + 0x8'0000'0000, 0x6000, kArena + 0x8'0000'4000, {0x4000, 0x2000}};
  h.conditions.vdso_size = h.vdso.size;
  h.conditions.stack_limit = order.stack_limit;
  parts.files = order.files;
  parts.regions = {{kArena, text.size(), PROT_READ | PROT_EXEC, 0, {}, 0, text},
                   {data_begin, data.size(), PROT_READ | PROT_WRITE, 0, {}, 0, data}};
  std::uint64_t address = kArena + 0x4'0000'0000;
  for (std::size_t i = 0; i < order.files.size(); ++i) {
    if ((order.files[i].file.flags & kFileMapped) == 0) continue;
    parts.regions.push_back(
        {address, kPageSize, PROT_READ, 0, static_cast<std::uint32_t>(i), 0, {}});
    address += 2 * kPageSize;
  }
  return parts;
}

void copy(const Fd& from, const Fd& to, off_t bytes) {
  for (off_t at = 0; at < bytes;) {
    if (::sendfile(to.get(), from.get(), &at, static_cast<std::size_t>(bytes - at)) <= 0) {
      fail("write");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Order order = parse(argc, argv);
  if (order.failure == "hang") ::pause();
  if (order.failure.starts_with("exit ")) return std::atoi(order.failure.c_str() + 5);
  if (order.failure == "garbage") {
    const std::vector<char> garbage(10'000, 'x');
    return ::write(order.output.get(), garbage.data(), garbage.size()) > 0 ? 0 : 1;
  }
  const std::vector<std::uint8_t> text(kPageSize, 0x90);
  std::vector<std::uint8_t> data(2 * kPageSize + order.bytes / kPageSize * kPageSize);
  for (std::size_t i = 0; i < data.size(); i += 8) {
    data[i] = static_cast<std::uint8_t>(1 + i / kPageSize);
    data[i + 1] = static_cast<std::uint8_t>(i / kPageSize / 256);
  }
  const auto image = write_image(parts_of(order, text, data));
  if (!image) fail(image.error().message().c_str());
  struct stat s{};
  if (::fstat(image->get(), &s) != 0) fail("fstat");
  copy(*image, order.output, order.failure == "cut" ? s.st_size / 2 : s.st_size);
}

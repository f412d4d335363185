// SPDX-License-Identifier: MIT
//
// The image format: a program and its libraries after linking, ready to be mapped.
// docs/image-format.md has it in prose. An image is one file: the header, tables, and then, page by
// page, the contents of memory. All numbers are little-endian and naturally aligned; addresses are
// where things were in the captured process, and are again in each that is started from the image.
//
// Read by the restorer (which trusts it as it trusts a library: it comes from the same user,
// sealed) and by `Image::open` (which trusts nothing).
#pragma once

#include <cstddef>
#include <cstdint>

namespace prewarm::image {

inline constexpr char kImageMagic[8] = {'P', 'W', 'I', 'M', 'A', 'G', 'E', '\0'};
inline constexpr std::uint32_t kImageVersion = 2;
inline constexpr std::uint64_t kPageSize = 4096;

// Where images live in the address space: nothing else of a process is placed here, as the kernel
// places from the top downwards and programs at the bottom or above 0x5500_0000_0000.
inline constexpr std::uint64_t kArenaLowest = 0x1000'0000'0000;
inline constexpr std::uint64_t kArenaHighest = 0x5000'0000'0000;

// Bounds: an image beyond them isn't made, and is refused when read.
inline constexpr std::uint32_t kMaxRegions = 200'000;
inline constexpr std::uint32_t kMaxFiles = 40'000;
inline constexpr std::uint32_t kMaxPatches = 4'096;
inline constexpr std::uint32_t kMaxMappedFiles = 240;  // descriptors that one message can carry
inline constexpr std::uint64_t kMaxImageBytes = 4ULL << 30;

struct ImageTable {
  std::uint64_t offset = 0;  // in the image, bytes
  std::uint64_t count = 0;   // entries
};

// What a region is filled with. Without a file and without contents it is zeros.
inline constexpr std::uint32_t kSourceZeros = 0xffff'ffff;
inline constexpr std::uint32_t kSourceImage = 0xffff'fffe;

// A row of pages with one protection.
struct ImageRegion {
  std::uint64_t address = 0;
  std::uint64_t size = 0;        // bytes, whole pages
  std::uint64_t offset = 0;      // in the image or the file, whole pages
  std::uint32_t source = 0;      // kSource*, or an index into the files
  std::uint32_t protection = 0;  // PROT_*
  std::uint32_t flags = 0;       // kRegion*
  std::uint32_t descriptor = 0;  // with a file: its place among the descriptors of a map answer
};

inline constexpr std::uint32_t kRegionPopulate = 1;  // its pages are touched at each start
inline constexpr std::uint32_t kRegionPatched = 2;   // patches lie in it, and it isn't writable

// A file that the image was made from. It is stale once one of them isn't what it was.
struct ImageFile {
  std::uint64_t path = 0;  // offset into the strings
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint32_t flags = 0;  // kFile*
  std::uint32_t descriptor =
      0;  // with kFileMapped: its place among the descriptors of a map answer
};

inline constexpr std::uint32_t kFileMapped = 1;   // regions are mapped from it
inline constexpr std::uint32_t kFileProgram = 2;  // the program itself
inline constexpr std::uint32_t kFileLoader = 4;   // its ld.so
inline constexpr std::uint32_t kFileAbsent = 8;   // was looked for and not there: must not appear
inline constexpr std::uint32_t kFilePreloaded =
    16;  // the image is for processes with LD_PRELOAD=it

// What a word of captured memory has to become in the new process.
enum class PatchRole : std::uint32_t {
  canary,         // of the stack protector: AT_RANDOM's first 8 bytes, the lowest byte zero
  pointer_guard,  // AT_RANDOM's second 8 bytes
  thread_id,      // 32 bits
  argc,           // 32 bits
  stack_start,    // the address of argc on the initial stack
  argv,           // the address of argv[0]
  environment,    // the address of envp[0]
  auxv,           // the address of the auxiliary vector
  random,         // AT_RANDOM
  platform,       // AT_PLATFORM
  program_name,   // AT_EXECFN
  argv_0,         // argv[0] itself
  heap_start,     // the program break
  count,
};

struct ImagePatch {
  std::uint64_t address = 0;
  PatchRole role = PatchRole::count;
  std::uint32_t reserved = 0;
};

// A word of the contents that is an address within the arena: all of them change if the image is
// moved.
struct ImageSlide {
  std::uint64_t offset = 0;  // in the image
};

// What ld.so had told the kernel about the first thread.
struct ImageThread {
  std::uint64_t thread_pointer = 0;  // ARCH_SET_FS
  std::uint64_t tid_address = 0;     // set_tid_address
  std::uint64_t robust_list = 0;     // set_robust_list
  std::uint64_t robust_list_size = 0;
  std::uint64_t rseq_area = 0;  // rseq; 0: not registered
  std::uint64_t rseq_size = 0;
  std::uint64_t rseq_signature = 0;
};

// What has to hold in the new process, as ld.so has looked at it. Different: stock.
struct ImageConditions {
  std::uint64_t stack_limit = 0;   // RLIMIT_STACK, soft
  std::uint64_t hwcap = 0;         // AT_HWCAP
  std::uint64_t hwcap2 = 0;        // AT_HWCAP2
  std::uint64_t signal_stack = 0;  // AT_MINSIGSTKSZ
  std::uint64_t clock_ticks = 0;   // AT_CLKTCK
  std::uint64_t vdso_size = 0;     // of all its mappings, vvar included
};

// The vDSO with its data pages, which is moved to where captured code expects it.
struct ImageVdso {
  std::uint64_t address = 0;         // of the lowest of its mappings
  std::uint64_t size = 0;            // of all
  std::uint64_t code = 0;            // AT_SYSINFO_EHDR
  std::uint64_t part_sizes[4] = {};  // of its mappings, from below; together `size`
};

struct ImageHeader {
  char magic[8] = {};
  std::uint32_t version = 0;
  std::uint32_t header_bytes = 0;  // sizeof(ImageHeader)
  std::uint64_t checksum[2] = {};  // XXH3, 128 bits, of all that follows this field; low word first
  std::uint64_t total_bytes = 0;   // of the image
  std::uint64_t key[2] = {};      // what it was made from and under which conditions, see image_key
  std::uint64_t arena_begin = 0;  // all regions but those of a program with fixed addresses
  std::uint64_t arena_end = 0;
  // All that a restorer reads: header, regions, patches, the first file.
  std::uint64_t context_bytes = 0;
  ImageTable regions;                      // ImageRegion, by address
  ImageTable patches;                      // ImagePatch, by address
  ImageTable files;                        // ImageFile; the program first
  ImageTable slides;                       // ImageSlide, by offset
  ImageTable strings;                      // bytes, each string ends with a zero byte
  std::uint64_t start = 0;                 // ld.so's `_dl_start_user`, past its first instruction
  std::uint64_t entry = 0;                 // the program's own start, which ld.so goes to
  std::uint64_t program_headers = 0;       // AT_PHDR
  std::uint64_t program_header_count = 0;  // AT_PHNUM
  std::uint64_t loader_base = 0;           // AT_BASE
  std::uint64_t unmap_gadget = 0;  // munmap in the captured ld.so: the last call of the restorer
  std::uint32_t mapped_files = 0;  // files with kFileMapped
  std::uint32_t objects = 0;       // link maps
  std::uint32_t packed = 0;        // of those: moved together
  // The largest alignment of a segment, a power of two: the image moves by multiples of it.
  std::uint32_t alignment = static_cast<std::uint32_t>(kPageSize);
  ImageThread thread;
  ImageConditions conditions;
  ImageVdso vdso;
  std::uint64_t made_at_s = 0;  // seconds since the epoch
  std::uint64_t build_us = 0;   // how long making it took
  char boot[16] = {};           // the boot that it was made or last moved in
};
static_assert(sizeof(ImageHeader) % 8 == 0 && sizeof(ImageHeader) <= kPageSize);

}  // namespace prewarm::image

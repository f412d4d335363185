// SPDX-License-Identifier: MIT
//
// Preloaded before the library under test: counts who answers posix_spawn and posix_spawnp, so that
// a test can't pass by having called the C library's. PREWARM_TEST_CALLS names a file of two
// 64-bit counters, which all processes share: calls answered by the library, and by anybody else.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef int spawn_function(pid_t*, const char*, const posix_spawn_file_actions_t*,
                           const posix_spawnattr_t*, char* const[], char* const[]);

struct counters {
  _Atomic uint64_t library;
  _Atomic uint64_t others;
};
static struct counters* counters;

__attribute__((constructor)) static void map_counters(void) {
  const char* name = getenv("PREWARM_TEST_CALLS");
  if (name == NULL) return;
  const int fd = open(name, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (counters == MAP_FAILED) abort();
  close(fd);
}

static spawn_function* next_one(const char* name, const char* version) {
  spawn_function* const next = (spawn_function*)dlvsym(RTLD_NEXT, name, version);
  Dl_info where;
  if (counters != NULL && dladdr((void*)next, &where) != 0) {
    const int ours = strstr(where.dli_fname, "/libprewarm-spawn.so") != NULL;
    atomic_fetch_add(ours ? &counters->library : &counters->others, 1);
  }
  return next;
}

// The same symbols and versions as the library under test has.
#define COUNTED(local, name, at, version)                                                  \
  __asm__(".symver " #local ", " name at version);                                         \
  int local(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,       \
            const posix_spawnattr_t* attributes, char* const argv[], char* const envp[]) { \
    return next_one(name, version)(pid, path, actions, attributes, argv, envp);            \
  }

COUNTED(spawn_2_15, "posix_spawn", "@@", "GLIBC_2.15")
COUNTED(spawnp_2_15, "posix_spawnp", "@@", "GLIBC_2.15")
COUNTED(spawn_2_2, "posix_spawn", "@", "GLIBC_2.2.5")
COUNTED(spawnp_2_2, "posix_spawnp", "@", "GLIBC_2.2.5")

/* SPDX-License-Identifier: MIT
 *
 * posix_spawn(3) and posix_spawnp(3) by prewarm: same arguments, same meaning, same results.
 *
 * File actions and attributes are the C library's own objects, filled by its own functions
 * (posix_spawn_file_actions_addopen and so on). All of POSIX is understood, and glibc's
 * extensions up to 2.36: addchdir_np, addfchdir_np, addclosefrom_np, addtcsetpgrp_np,
 * POSIX_SPAWN_SETSID, POSIX_SPAWN_USEVFORK. An object that holds anything else, which a newer C
 * library may have put there, is handed to the C library's function.
 *
 * The caller waits until the new program runs or can't. Returns 0, and the pid in *pid if that
 * isn't null; or the errno value of what failed first (an attribute, a file action, the exec), and
 * then there is no child and *pid is as it was. EFAULT: no path or no argv. Neither errno nor the
 * caller's signal mask nor its cancellation state changes. Any thread may call these at any time.
 *
 * The same functions replace the C library's in a program that is started with
 * LD_PRELOAD=.../lib/prewarm/libprewarm-spawn.so.
 */
#ifndef PREWARM_POSIX_SPAWN_H
#define PREWARM_POSIX_SPAWN_H

#include <spawn.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

int prewarm_posix_spawn(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
                        const posix_spawnattr_t* attributes, char* const argv[],
                        char* const envp[]);

/* `file` is looked for in the directories of the caller's PATH if it has no slash. */
int prewarm_posix_spawnp(pid_t* pid, const char* file, const posix_spawn_file_actions_t* actions,
                         const posix_spawnattr_t* attributes, char* const argv[],
                         char* const envp[]);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif

# SPDX-License-Identifier: MIT
"""Contexts: who runs the shell, and where: other users, limits too small, namespaces, control
groups, attributes set by the caller, terminals."""

import signal

import callers
import requirements as need
from harness import Context
from matrix_shell import brokered, calls, cold, each

_root = [need.root]
_other_user = [need.other_user]
_by_number = [need.system_calls]

_mixed = calls + "\n" + each("x=$({{mirror $i-s --say said}}); {{mirror $i-p}} | cat; echo $x")

users = [
    Context("other_user", calls, wrapper=need.as_lone_user, needs=_other_user),
    brokered("other_user_subshell",
             each("( {{mirror $i}}; : )"), wrapper=need.as_lone_user, needs=_other_user,
             expect_warm=False),
    Context("nobody",
            calls, wrapper=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
            needs=_other_user),
    Context("other_groups",
            calls, wrapper=["setpriv", "--groups=7,8,9", "--regid=54321"], needs=_root),
    Context("effective_user",
            calls, wrapper=["setpriv", "--euid=54321"], needs=_root, expect_warm=False),
    Context("no_new_privileges", calls, wrapper=["setpriv", "--no-new-privs"]),
    Context("bounded_capabilities",
            calls, wrapper=["setpriv", "--bounding-set=-sys_admin,-net_raw"], needs=_root),
    Context("ambient_capabilities", calls, needs=_other_user,
            wrapper=need.as_lone_user + ["--inh-caps=+net_bind_service",
                                         "--ambient-caps=+net_bind_service"]),
    Context("securebits",
            calls, wrapper=["setpriv", "--securebits=+noroot,+noroot_locked"], needs=_root),
]

# Here nothing needs to be warm, but the script has to run, silently.
scarcity = [
    brokered("processes_3",
             _mixed, expect_warm=False, needs=_other_user, wrapper=need.as_lone_user
             + ["prlimit", "--nproc=3:3"]),
    Context("processes_2",
            calls, expect_warm=False, needs=_other_user, wrapper=need.as_lone_user
            + ["prlimit", "--nproc=2:2"]),
    brokered("processes_6",
             _mixed, expect_warm=False, needs=_other_user, wrapper=need.as_lone_user
             + ["prlimit", "--nproc=6:6"]),
    brokered("files_12", _mixed, expect_warm=False, wrapper=["prlimit", "--nofile=12:12"]),
    brokered("files_64", _mixed, expect_warm=False, wrapper=["prlimit", "--nofile=64:64"]),
    brokered("address_space_24m", _mixed, expect_warm=False, wrapper=["prlimit", "--as=25165824"]),
    brokered("address_space_500m",
             _mixed, expect_warm=False, wrapper=["prlimit", "--as=524288000"]),
    brokered("file_size", _mixed, expect_warm=False, wrapper=["prlimit", "--fsize=1000000"]),
    brokered("locked_memory_0", _mixed, expect_warm=False, wrapper=["prlimit", "--memlock=0:0"]),
    brokered("messages_0",
             _mixed, expect_warm=False, wrapper=["prlimit", "--msgqueue=0:0", "--sigpending=0:0"]),
    brokered("no_proc", _mixed, expect_warm=False, needs=[need.mounts],
             wrapper=["unshare", "-m", "sh", "-c", 'umount -l /proc && exec "$@"', "sh"]),
    brokered("no_shared_memory", _mixed, expect_warm=False, needs=[need.mounts],
             wrapper=["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro none /dev/shm && exec '
             '"$@"', "sh"]),
    brokered("read_only_tmp",
             _mixed, expect_warm=False,
             environment=dict.fromkeys(("TMPDIR", "HOME", "XDG_CACHE_HOME"), "/no/where")),
]

surroundings = [
    Context("under_nice", calls, wrapper=["nice", "-n", "7"]),
    Context("under_taskset", calls, wrapper=["taskset", "-c", "0"]),
    Context("under_ionice", calls, wrapper=["ionice", "-c", "3"]),
    Context("under_chrt_batch", calls, wrapper=["chrt", "-b", "0"]),
    Context("fixed_addresses",
            calls, wrapper=["setarch", "-R"], needs=[need.address_randomisation]),
    Context("old_address_layout",
            calls, wrapper=["setarch", "-L"], needs=[need.address_randomisation]),
    Context("reported_kernel", calls, wrapper=["setarch", "--uname-2.6"]),
    Context("namespaces", calls, wrapper=["unshare", "-niu"], needs=[need.other_namespaces],
            ignore=["namespace.ipc", "namespace.net", "namespace.uts", "cgroup"]),
    Context("pid_namespace",
            calls, wrapper=["unshare", "-pf", "--mount-proc"],
            needs=[need.mounts, need.other_namespaces],
            ignore=["namespace.*"]),
    Context("user_namespace",
            calls, wrapper=["unshare", "-r"], needs=[need.user_namespaces],
            ignore=["namespace.*"]),
    Context("control_group", calls, needs=[need.cgroups],
            wrapper=["sh", "-c", 'mkdir -p %CGROUP% && echo $$ > %CGROUP%/cgroup.procs && exec '
            '"$@"', "sh"]),
    Context("control_group_changed",
            each("{{mirror $i-a}}", "mkdir -p %CGROUP%") + "\necho $$ > %CGROUP%/cgroup.procs\n"
            + each("{{mirror $i-b}}"),
            needs=[need.cgroups]),
    brokered("control_group_subshell",
             each("( echo $BASHPID > %CGROUP%/cgroup.procs; {{mirror $i}}; : ); "
             "{{mirror $i-outside}}", "mkdir -p %CGROUP%"),
             needs=[need.cgroups]),
    Context("parent_death_signal", calls, wrapper=["setpriv", "--pdeathsig=TERM"]),
]

attributes = [
    Context("interval_timer", calls, callers=[callers.interval_timer]),
    Context("no_huge_pages", calls, callers=[callers.no_transparent_huge_pages], needs=_by_number),
    Context("timer_slack_of_caller", calls, callers=[callers.timer_slack], needs=_by_number),
    Context("machine_check_policy",
            calls, callers=[callers.early_machine_check_kill], needs=_by_number),
    Context("memory_policy", calls, callers=[callers.interleaved_memory], needs=_by_number),
    Context("seccomp_filter", calls, callers=[callers.permissive_seccomp_filter], needs=_by_number),
    brokered("attributes_subshell", each("( {{mirror $i}}; : )"), needs=_by_number,
             callers=[callers.no_transparent_huge_pages, callers.timer_slack,
                      callers.interleaved_memory], expect_warm=False),
]

terminals = [
    Context("terminal", calls, terminal=True),
    brokered("terminal_subshell",
             each("( {{mirror $i}}; : ); x=$({{mirror $i-s}}); "
             "{{mirror $i-p}} | cat"), terminal=True),
    Context("terminal_monitor", each("{{mirror $i}}", "set -m"), terminal=True,
            expect_warm=False),
    brokered("terminal_monitor_pipeline",
             each("{{mirror $i-a --say x}} | {{mirror $i-b --read 1}}", "set -m"), terminal=True,
             expect_warm=False),
    cold("terminal_background", each("{{mirror $i}} & wait $!"), terminal=True),
    Context("terminal_closed_input", each("{{mirror $i}} < /dev/null 2>&-"), terminal=True),
    Context("terminal_modes",
            each("{{mirror $i}}; stty -a", "stty -echo cols 99") + "\nstty echo", terminal=True),
    Context("terminal_ignored_hangup",
            calls, terminal=True, callers=[callers.ignore(signal.SIGHUP)]),
]

contexts = users + scarcity + surroundings + attributes + terminals

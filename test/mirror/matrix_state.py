# SPDX-License-Identifier: MIT
"""Contexts: what the process inherits from the shell: descriptors, directory, signals, limits,
scheduling, environment, locale, loader."""

import signal

import callers
import requirements as need
from harness import Context
from matrix_shell import brokered, calls, changed, each

_root = [need.root]
_numbers = (3, 9, 10, 200, 300)


def _per_descriptor(redirection):
    """Two calls per descriptor number, with {n} in the redirection replaced by it."""
    return "\n".join("{{mirror %d-%s}} %s" % (n, time, redirection.replace("N", str(n)))
                     for n in _numbers for time in "ab")


descriptors = [
    Context("fd_in", _per_descriptor("N< input")),
    Context("fd_out", _per_descriptor("N> file-N")),
    Context("fd_append",
            "for n in 3 9 10 200 300; do echo text > file-$n; "
            "done\n" + _per_descriptor("N>> file-N")),
    Context("fd_read_write", _per_descriptor("N<> input")),
    Context("fd_duplicate", _per_descriptor("N>&1")),
    Context("fd_closed_again", _per_descriptor("N< input N<&-")),
    Context("fd_here_document", _per_descriptor("N<<END\ntext for N\nEND")),
    Context("fd_several", each("{{mirror $i}} 3< input 4> out-file 5<> input 6>&4 7<&3 3<&-")),
    Context("fd_move", each("exec 5< input; {{mirror $i}} 8<&5-; exec 5<&-"), expect_warm=False),
    # An external command's {v} isn't set in the shell, a builtin's would be.
    Context("fd_named", each('{{mirror $i}} {v}< input; echo "v=$v"'), expect_warm=False),
    Context("fd_in_function", each("f 5< input", "f() { {{mirror $i}} 6<&5; }")),
    Context("fd_both_to_file", each("{{mirror $i --say a --say-error b}} &> both; cat both")),
    Context("fd_errors_to_output",
            each("{{mirror $i --say a --say-error b}} > both 2>&1; cat both")),
    Context("fd_output_to_errors", each("{{mirror $i --say a}} >&2 2> errors")),
    Context("fd_swapped", each("{{mirror $i --say a --say-error b}} 3>&1 1>&2 2>&3 3>&-")),
    Context("fd_first_redirection", each("< input > out-$i {{mirror $i --read 3 --say x}}")),
    Context("fd_failing_redirection",
            each("{{mirror $i-never}} < /no/such/file; echo $?; {{mirror $i}}")),
    Context("fd_left_open",
            each("{{mirror $i}}", "exec 3< input 9> out-file 10< input 200<> input 300>> "
            "out-file") +
            "\nread -r line <&3; {{mirror after}}; exec 3<&- 200>&-; {{mirror closed}}"),
    Context("fd_offset_moves", each("read -r line <&5; {{mirror $i}}", "exec 5< input")),
    Context("fd_shared_offset", each("{{mirror $i --read 6}}", "exec < input")),
    Context("fd_locked",
            each("{{mirror $i}}", "exec 9> lock; flock -x 9; exec 8< input; flock -s 8"),
            needs=[need.tool("flock")]),
    Context("fd_coprocess", each("{{mirror $i}}", "coproc cat") + "\nexec {COPROC[1]}>&-; wait"),
    Context("fd_substitution_left_open", each("{{mirror $i}}", "exec 7< <(echo text)") + "\nwait"),
    Context("fd_socket", each("{{mirror $i}}", "exec 7<>/dev/udp/127.0.0.1/9")),
    Context("fd_many", "for n in {20..120}; do eval \"exec $n< input\"; done\n" + calls),
    Context("fd_from_caller",
            calls, wrapper=["bash", "-c", 'exec 7< input 12> out-12 150<> input; '
            'exec "$@"', "bash"]),
    Context("fd_caller_high_end",
            calls, wrapper=["bash", "-c", 'exec 255< input 254< input 60< input; '
            'exec "$@"', "bash"]),
    brokered("fd_subshell", each("( exec 5< input 300> out-300; {{mirror $i}} 9>&1; : )"), expect_warm=False),
    brokered("fd_pipeline", each("echo abc | {{mirror $i --read 1}} 5< input | cat 6> out-file")),
    Context("closed_input", each("{{mirror $i}} <&-")),
    Context("closed_output", each("{{mirror $i --say x}} >&-")),
    Context("closed_errors", each("{{mirror $i --say-error x}} 2>&-")),
    Context("closed_all", each("{{mirror $i}} <&- >&- 2>&-")),
    Context("closed_in_shell",
            "exec <&-; {{mirror 1}}; {{mirror 2}}; exec >&-; {{mirror 3}}; exec 2>&-\n"
            + each("{{mirror b$i}}")),
    Context("closed_by_caller_0", calls, callers=[callers.close(0)]),
    Context("closed_by_caller_12", calls, callers=[callers.close(1, 2)]),
    Context("closed_by_caller_012", calls, callers=[callers.close(0, 1, 2)]),
    brokered("closed_subshell",
             each("( exec <&- >&-; {{mirror $i}}; : ); echo x | {{mirror $i-p}} >&-")),
    Context("stdin_pipe",
            each("read -r line; {{mirror $i --read 2}}"),
            stdin=b"one\ntwo\nthree\nfour\nfive\nsix\nseven\n"),
    Context("stdin_file_offset", each("{{mirror $i --read 3}}", "exec < input; read -r first")),
    Context("stdin_null", each("{{mirror $i --read 3}} < /dev/null")),
    Context("stdin_here_document",
            each("{{mirror $i --read 100}} <<END\nround $i\n$(echo substituted)\nEND"),
            expect_warm=False),
    Context("stdin_here_document_large",
            each("{{mirror $i --read 100000}} <<< \"$big\"", "big=$(printf '%099999d' 0)")),
    Context("stdin_here_string", each("{{mirror $i --read 100}} <<< \"round $i\"")),
    # In a redirection, the substituted process is a child of the command: it is kept until then.
    Context("stdin_substitution",
            each("{{mirror $i --read 100}} < <(echo round $i; read -r x < gate)\necho > gate",
                                       "mkfifo gate"), expect_warm=False),
    Context("stdout_append", each("{{mirror $i --say round}} >> log") + "\ncat log"),
    Context("stdout_device", each("{{mirror $i --say x}} > /dev/null 2> /dev/zero")),
    Context("stdout_fifo",
            each("cat fifo & {{mirror $i --say round}} > fifo; wait", "mkfifo fifo")),
]

directories = [
    Context("cd",
            each("cd tmp; {{mirror $i-a}}; cd ..; {{mirror $i-b}}; cd / ; {{mirror $i-c}}; "
            "cd %D%")),
    Context("cwd_deleted", "mkdir gone; cd gone; rmdir ../gone\n" + calls),
    Context("cwd_renamed", "mkdir before; cd before; mv ../before ../after\n" + calls),
    Context("cwd_symbolic_link", each("{{mirror $i}}", "mkdir real; ln -s real link; cd link")),
    Context("cwd_physical", each("{{mirror $i}}", "mkdir real; ln -s real link; cd -P link")),
    Context("cwd_pushd",
            each("pushd tmp > /dev/null; {{mirror $i-a}}; popd > /dev/null; {{mirror $i-b}}")),
    Context("cwd_unreadable",
            each("{{mirror $i}}", "mkdir shut; cd shut; chmod 000 .") + "\nchmod 755 %D%/shut",
            wrapper=need.as_lone_user,
            needs=[need.other_user]),
    brokered("cwd_subshell", each("( cd tmp; {{mirror $i}} ); {{mirror $i-outside}}")),
    Context("cwd_long",
            each("{{mirror $i}}", "n=$(printf '%0200d' 0); for k in 1 2 3 4 5 6; do mkdir $n; "
            "cd $n; done")),
    Context("cwd_new_directory", each("mkdir d-$i; cd d-$i; {{mirror $i}}; cd ..; rmdir d-$i")),
]

signals = [
    Context("ignored", each("{{mirror $i}}", "trap '' INT USR1 PIPE HUP TERM TSTP RTMIN+5")),
    Context("ignored_between",
            "{{mirror 1}}; {{mirror 2}}; trap '' USR2; {{mirror 3}}; {{mirror 4}}; trap - USR2; "
            "{{mirror 5}}; {{mirror 6}}"),
    Context("trapped", each("{{mirror $i}}", "trap 'echo trapped' INT USR1 TERM PIPE WINCH")),
    Context("trapped_exit_return",
            each("f", "f() { trap : RETURN; {{mirror $i}}; }; trap 'echo bye' EXIT")),
    brokered("ignored_subshell",
             each("( trap '' USR1; {{mirror $i-a}}; trap - USR1; {{mirror $i-b}}; "
             ": )", "trap '' USR2"), expect_warm=False),
    brokered("trapped_subshell",
             each("( {{mirror $i}}; : ); x=$({{mirror $i-s}})", "trap 'echo trapped' INT USR1")),
    Context("ignored_by_caller",
            calls, callers=[callers.ignore(signal.SIGUSR2, signal.SIGHUP, signal.SIGTERM, 40)]),
    Context("ignored_by_caller_pipe",
            calls, callers=[callers.ignore(signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT)]),
    Context("ignored_by_caller_child", calls, callers=[callers.ignore(signal.SIGCHLD)]),
    Context("ignored_by_caller_stops",
            calls, callers=[callers.ignore(signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)]),
    Context("blocked_by_caller",
            calls, callers=[callers.block(signal.SIGUSR1, signal.SIGTERM, signal.SIGALRM, 41)]),
    brokered("blocked_by_caller_subshell",
             each("( {{mirror $i}}; : )"), callers=[callers.block(signal.SIGUSR1, 41)], expect_warm=False),
    Context("blocked_children_signal",
            each("{{mirror $i}}"), callers=[callers.block(signal.SIGCHLD)], expect_warm=False),
    Context("under_nohup", calls, wrapper=["nohup"]),
]

limits = [
    Context("umask",
            each("{{mirror $i-a}}", "umask 077") + "\numask 000\n" + each("{{mirror $i-b}}")),
    Context("umask_each", each("umask 0${i}2; {{mirror $i}}")),
    brokered("umask_subshell", each("( umask 027; {{mirror $i}}; : ); {{mirror $i-outside}}")),
    Context("umask_of_files", each("umask 07$i; {{mirror $i}} > new-$i; stat -c %a new-$i")),
    Context("ulimit_files", changed("ulimit -n 64")),
    Context("ulimit_core",
            "{{mirror a}}; {{mirror b}}; {{mirror c}}\n" + each("ulimit -S -c $i; {{mirror $i}}")),
    Context("ulimit_file_size", changed("ulimit -f 2048")),
    Context("ulimit_stack_soft", changed("ulimit -S -s 1024")),
    Context("ulimit_stack_before", "ulimit -S -s 4096\n" + calls),
    Context("ulimit_stack_raised",
            calls + "\nulimit -S -s 512000 && " + calls.replace("$i", "b$i")),
    Context("ulimit_stack_unlimited",
            calls + "\nulimit -S -s unlimited && " + calls.replace("$i", "b$i")),
    Context("ulimit_hard",
            changed("ulimit -H -n 512 2>/dev/null || ulimit -n 512\nulimit -H -s 8192")),
    Context("ulimit_others",
            changed("ulimit -t 500; ulimit -l 64; ulimit -i 500; ulimit -q 4096; "
            "ulimit -d 1000000; "
            "ulimit -x 99")),
    Context("ulimit_address_space", changed("ulimit -v 4000000")),
    Context("ulimit_from_outside", changed("prlimit --pid $$ --sigpending=77 --core=0:0")),
    brokered("ulimit_subshell",
             each("( ulimit -n 100; ulimit -c 0; {{mirror $i}}; : ); {{mirror $i-outside}}")),
]

scheduling = [
    Context("renice", changed("renice -n 5 -p $$ > /dev/null")),
    Context("renice_each", each("renice -n $i -p $$ > /dev/null; {{mirror $i}}")),
    Context("renice_down", changed("renice -n -5 -p $$ > /dev/null"), needs=_root),
    brokered("renice_subshell",
             each("( renice -n 3 -p $BASHPID > /dev/null; {{mirror $i}}; : ); "
             "{{mirror $i-outside}}")),
    Context("taskset", changed("taskset -pc 0 $$ > /dev/null"), needs=[need.two_processors]),
    Context("chrt_batch", changed("chrt -b -p 0 $$")),
    Context("chrt_idle", changed("chrt -i -p 0 $$")),
    Context("chrt_round_robin",
            "{{mirror 1}}; {{mirror 2}}; chrt -r -p 3 $$; {{mirror 3}}; "
            "{{mirror 4}}", needs=[need.realtime]),
    Context("chrt_reset_on_fork",
            "{{mirror 1}}; {{mirror 2}}; chrt -R -f -p 2 $$; {{mirror 3}}; {{mirror 4}}",
            needs=[need.realtime]),
    Context("ionice_idle", changed("ionice -c 3 -p $$")),
    Context("ionice_best_effort", each("ionice -c 2 -n $i -p $$; {{mirror $i}}")),
    Context("oom_score_adj",
            each("{{mirror $i-before}}")
            + each("echo $((i * 100)) > /proc/$$/oom_score_adj; {{mirror $i}}")),
    Context("oom_score_adj_self", changed("echo 250 > /proc/self/oom_score_adj")),
    brokered("oom_score_adj_subshell",
             each("( echo 300 > /proc/$BASHPID/oom_score_adj; {{mirror $i}}; : ); "
             "{{mirror $i-outside}}")),
    Context("coredump_filter", changed("echo 0x7 > /proc/$$/coredump_filter")),
    Context("timer_slack", changed("echo 77777 > /proc/$$/timerslack_ns"), needs=_root),
    Context("shell_renamed", changed("echo renamed > /proc/$$/comm")),
]

environment = [
    Context("assignments", each("A=1 B='two words' {{mirror $i}}; {{mirror $i-without}}")),
    Context("assignment_empty", each("A= {{mirror $i}}; A=x A=y {{mirror $i-twice}}")),
    Context("assignment_append", each("A+=more {{mirror $i}}", "export A=some")),
    Context("assignment_expanded", each('A="$(echo $i)" B=$A {{mirror $i}}')),
    Context("assignment_to_function", each("A=1 f", "f() { {{mirror $i}}; }")),
    Context("assignment_hides_export",
            each("A=inner {{mirror $i-a}}; {{mirror $i-b}}", "export A=outer")),
    brokered("assignment_pipeline", each("A=1 {{mirror $i-a}} | B=2 {{mirror $i-b}}")),
    brokered("assignment_subshell", each("( export A=1; B=2 {{mirror $i}}; : )"), expect_warm=False),
    Context("exported", each('export "V$i=$i"; {{mirror $i}}')),
    Context("unexported",
            each("{{mirror $i}}", "export A=1 B=2; export -n A; unset B; unset HOME")),
    Context("exported_late",
            each("{{mirror $i-a}}", "A=1") + "\nexport A; declare -x B=2; "
            "readonly -x C=3 2>/dev/null; "
            "typeset -x D=4\n" + each("{{mirror $i-b}}")),
    Context("exported_empty", each("{{mirror $i}}", "export EMPTY= UNSET")),
    Context("exported_odd",
            each("{{mirror $i}}", "export A=$'line\\nline\\ttab' B=$'\\xff\\xfe' C='  ' "
            "D=$'\\001'")),
    Context("exported_function",
            each("{{mirror $i}}", "f() { echo \"in f\"; }; g() { :; }; export -f f g")),
    Context("exported_array",
            each("{{mirror $i}}", "A=(1 2); export A; declare -A B=([x]=1); export B")),
    Context("exported_integer", each("N+=1; {{mirror $i}}", "declare -ix N=5")),
    Context("inherited_odd_names",
            calls, environment={"a.b": "1", "1x": "2", "with space": "3", "BASH_FUNC_h%%": "() { "
            " :\n}"}),
    Context("shell_variables",
            each("{{mirror $i}}", "export IFS SHLVL RANDOM_SEED=1 PS1='$ ' BASH_ENV= OPTIND "
            "LINENO_X=$LINENO")),
    Context("underscore", each("echo last argument > /dev/null; {{mirror $i $_}}")),
    Context("clean", calls, clean_environment=True),
    Context("clean_in_script",
            "for v in $(compgen -e); do unset $v; done\nPATH=%BIN%:/usr/bin:/bin\n" + calls,
            clean_environment=True),
    Context("through_env_clean", each("env -i {{%BIN%/mirror $i}}"), kind="cold"),
    Context("huge", calls, environment={f"HUGE{n}": "x" * 100_000 for n in range(3)}),
    Context("huge_in_script",
            "for n in 1 2 3; do export HUGE$n=$(printf '%0100000d' $n); done\n" + calls),
    Context("many_variables", "for n in {1..1000}; do export V_$n=value$n; done\n" + calls),
    Context("posixly_correct", each("{{mirror $i}}", "export POSIXLY_CORRECT=1")),
    Context("position_changes", each("unset A; export A=$i; {{mirror $i}}", "export A=0 B=0")),
]

arguments = [
    Context("odd_arguments",
            each("{{mirror $i}} '' ' ' $'a\\nb' $'\\t' $'\\xff\\xfe\\x80' $'\\u00e9' '*' '$x' "
            "'\\' '\"' \"'\" -- --x")),
    Context("empty_arguments", each("{{mirror $i}} '' '' ''")),
    Context("large_argument", each('{{mirror $i}} "$big"', "big=$(printf '%0131071d' 0)")),
    Context("too_large_argument",
            each('{{mirror $i}}; {{mirror $i-never}} "$big"; '
            'echo $?', "big=$(printf '%0131072d' 0)")),
    Context("too_large_assignment",
            each('{{mirror $i}}; BIG="$big" {{mirror $i-never}}; '
            'echo $?', "big=$(printf '%0131070d' 0)")),
    Context("too_many_arguments",
            "ulimit -S -s 512\n" + each('{{mirror $i}}; {{mirror $i-never}} $many; '
            'echo $?', "many=$(echo {1..40000})"), expect_warm=False),
    Context("many_arguments", each("{{mirror $i}} {1..2000}")),
    Context("globs", each("{{mirror $i}} in* no-such-* ~ {a,b}c")),
    brokered("large_argument_subshell",
             each('x=$({{mirror $i --say said}} "$big"); echo $x', "big=$(printf '%0131000d' 0)")),
    brokered("many_arguments_pipeline", each("{{mirror $i}} {1..2000} | cat")),
]

_missing_locale = "xx_YY.UTF-8"
locale = [
    Context("locale_c", calls, environment={"LC_ALL": "C", "LANG": None}),
    Context("locale_utf8", calls, environment={"LC_ALL": "C.UTF-8"}),
    Context("locale_missing", calls, environment={"LC_ALL": _missing_locale}),
    Context("locale_none", calls, environment={"LANG": None}),
    Context("locale_changed",
            changed("export LC_ALL=C") + "\nLC_ALL=C.UTF-8\n" + each("{{mirror $i-c}}") + "\n"
            "unset LC_ALL LANG\n" + each("{{mirror $i-d}}")),
    Context("locale_changed_to_missing", changed(f"export LC_ALL={_missing_locale} 2>/dev/null")),
    Context("locale_for_one_call",
            each("LC_ALL=C {{mirror $i-a}}; LC_CTYPE=C {{mirror $i-b}}; "
            "LANG=POSIX {{mirror $i-c}}; "
            "{{mirror $i-d}}")),
    Context("locale_language",
            each("{{mirror $i-a}}; LANGUAGE=de:fr {{mirror $i-b}}; "
            "NLSPATH=/x LOCPATH=/no/where {{mirror $i-c}}")),
    Context("locale_path", calls, environment={"LOCPATH": "/no/where"}),
    Context("time_zone",
            each("{{mirror $i-a}}; TZ=Europe/Berlin {{mirror $i-b}}; "
            "TZ=XYZ-3:30 {{mirror $i-c}}") + "\n"
            "export TZ=America/New_York\n" + each("{{mirror $i-d}}")),
    Context("time_zone_before", calls, environment={"TZ": "Asia/Tokyo"}),
    brokered("locale_subshell",
             each("( export LC_ALL=C; {{mirror $i}}; : ); LC_ALL=C {{mirror $i-p}} | cat")),
]

_preload = "%BIN%/lib/libmirror_preload.so"
loader = [
    Context("library_path",
            each("{{mirror $i}}; {{mirror-choice $i-choice}}"),
            environment={"LD_LIBRARY_PATH": "%BIN%/lib/b"}, expect_warm=False),
    Context("library_path_changed",
            each("{{mirror $i-a}}; {{mirror-choice $i-ca}}") + "\n"
            "export LD_LIBRARY_PATH=%BIN%/lib/b\n"
            + each("{{mirror $i-b}}; {{mirror-choice $i-cb}}") + "\nunset LD_LIBRARY_PATH\n"
            + each("{{mirror-choice $i-cc}}")),
    Context("library_path_for_one_call",
            each("LD_LIBRARY_PATH=%BIN%/lib/b {{mirror-choice $i-b}}; {{mirror-choice $i-a}}")),
    brokered("library_path_subshell",
             each("( export LD_LIBRARY_PATH=%BIN%/lib/b; {{mirror-choice $i-b}}; : ); "
             "x=$({{mirror-choice $i-a}})")),
    Context("preload", calls, environment={"LD_PRELOAD": _preload}, expect_warm=False),
    Context("preload_changed",
            changed(f"export LD_PRELOAD={_preload}") + "\nunset LD_PRELOAD\n"
            "" + each("{{mirror $i-c}}")),
    Context("preload_for_one_call",
            each(f"LD_PRELOAD={_preload} {{{{mirror $i-a}}}}; {{{{mirror $i-b}}}}")),
    Context("preload_empty", each("{{mirror $i}}", "export LD_PRELOAD= LD_LIBRARY_PATH="),
            expect_warm=False),
    Context("preload_missing", each("LD_PRELOAD=/no/such.so {{mirror $i}}"), expect_warm=False),
    Context("tunables", calls, environment={"GLIBC_TUNABLES": "glibc.malloc.perturb=85"},
            expect_warm=False),
    Context("tunables_changed", changed("export GLIBC_TUNABLES=glibc.malloc.perturb=90")),
    Context("arenas", calls, environment={"MALLOC_ARENA_MAX": "1"}, expect_warm=False),
    Context("arenas_changed",
            each("{{mirror $i-a}}") + "\nexport MALLOC_ARENA_MAX=1\n" + each("{{mirror $i-b}}; "
            "MALLOC_ARENA_MAX=2 {{mirror $i-c}}")),
    Context("malloc_perturb", each("{{mirror $i-a}}; MALLOC_PERTURB_=165 {{mirror $i-b}}")),
    Context("bind_now", each("LD_BIND_NOW=1 {{mirror $i-a}}; LD_WARN=1 {{mirror $i-b}}"),
            expect_warm=False),
    Context("trace_loaded_objects",
            each("LD_TRACE_LOADED_OBJECTS=1 {{mirror $i-never}} > /dev/null; {{mirror $i}}")),
    Context("own_variables",
            each("{{mirror $i --child}}", "export PREWARM_TEST=1 PREWARM=2"),
            environment={"PREWARM_OTHER": "3"}),
]

contexts = (descriptors + directories + signals + limits + scheduling + environment + arguments
            + locale + loader)

# SPDX-License-Identifier: MIT
"""Contexts: where in a script the call stands, and how it is named there."""

from harness import Context

# Four calls, so that the later ones find a parked process.
calls = "for i in 1 2 3 4; do {{mirror $i}}; done"


def each(body, before="", after=""):
    """`body` in a loop, where $i numbers the rounds."""
    return f"{before}\nfor i in 1 2 3 4; do\n{body}\ndone\n{after}"


def changed(change, before="{{mirror $i-a}}", after="{{mirror $i-b}}"):
    """A loop of calls, a change of the shell's state, and the loop again."""
    return each(before) + change + "\n" + each(after)


def brokered(name, script, **more):
    return Context(name, script, kind="brokered", **more)


def cold(name, script, **more):
    return Context(name, script, kind="cold", **more)


plain = [
    Context("plain", calls),
    Context("in_a_row", "\n".join("{{mirror %d}}" % i for i in range(1, 5))),
    Context("one_line", "; ".join("{{mirror %d}}" % i for i in range(1, 5))),
    Context("function", each("f $i", "f() { {{mirror $1 one two}}; }")),
    Context("function_local", each("f", "f() { local v=1; local -x W=2; {{mirror $i}}; }")),
    Context("if", each("if {{mirror $i --exit 1}}; then echo yes; else echo no; fi")),
    Context("while_condition", each("n=0; while {{mirror $i-$n}} && [ $n -lt 1 ]; do n=1; done")),
    Context("and_or",
            each("{{mirror $i-a --exit 1}} || {{mirror $i-b}} && echo both; ! {{mirror $i-c}}; "
            "echo $?")),
    Context("case", each("case $i in 1|2) {{mirror $i}};; *) {{mirror $i b}};; esac")),
    Context("group", each("{ {{mirror $i-a}}; {{mirror $i-b}}; } > out-file")),
    Context("loop_redirected",
            "for i in 1 2 3 4; do {{mirror $i --say said}}; done > out-file 2>&1; cat out-file"),
    Context("eval", each("eval '{{mirror $i}}'")),
    Context("source", each(". ./sourced a$i", "echo '{{mirror $1}}' > sourced")),
    Context("positional", each('{{mirror $i "$@" "$#" "$0"}}'), arguments=["a b", "", "c"]),
    Context("time", each("time {{mirror $i}}")),
    Context("time_portable", each("time -p {{mirror $i}}")),
    Context("last_command", calls + "\n{{mirror last}}"),
    Context("inline", calls, inline=True),
    Context("script_on_stdin", calls, stdin="script"),
    Context("script_on_stdin_read", each("{{mirror $i --read 8}}") + "\necho end", stdin="script"),
]

subshells = [
    brokered("pipeline_first", each("{{mirror $i --say said}} | cat")),
    brokered("pipeline_middle", each("echo abc | {{mirror $i --read 2 --say said}} | cat")),
    brokered("pipeline_last", each("echo abc | {{mirror $i --read 2 --say said}}")),
    brokered("pipeline_all",
             each("{{mirror $i-a --say x}} | {{mirror $i-b --read 1 --say y}} | "
             "{{mirror $i-c --read 1}}")),
    brokered("pipeline_both_outputs", each("{{mirror $i --say a --say-error b}} |& sort")),
    brokered("pipeline_status",
             each('{{mirror $i-a --exit 3}} | {{mirror $i-b --exit 4}} | {{mirror $i-c}}; '
             'echo "${PIPESTATUS[@]}"')),
    brokered("pipeline_pipefail",
             each("{{mirror $i-a --exit 3}} | cat; echo $?", "set -o pipefail")),
    brokered("pipeline_negated", each("! {{mirror $i --exit 3}} | cat; echo $?")),
    brokered("pipeline_timed", each("time {{mirror $i}} | cat")),
    Context("pipeline_lastpipe", each("echo abc | {{mirror $i --read 2}}", "shopt -s lastpipe")),
    brokered("substitution", each('x=$({{mirror $i --say said --exit 3}}); echo "$x $?"')),
    brokered("substitution_several",
             each('x=$(:; {{mirror $i-a --say a}}; {{mirror $i-b --say b}}; :); echo "$x"'), expect_warm=False),
    brokered("substitution_backquotes", each('echo "`{{mirror $i --say said}}`"')),
    brokered("substitution_nested", each('echo "$(echo $({{mirror $i --say said}}) $(:))"'), expect_warm=False),
    brokered("substitution_argument", each('{{mirror $i-a}} "$({{mirror $i-b --say said}})"')),
    brokered("subshell", each("( {{mirror $i}} )")),
    brokered("subshell_first", each("( {{mirror $i}}; : )"), expect_warm=False),
    brokered("subshell_nested", each("( : ; ( ( {{mirror $i}}; : ) ; : ) ; : )"), expect_warm=False),
    brokered("subshell_changed",
             each("( cd tmp; umask 077; X=1; export X; exec 5<../input; trap '' USR1; "
             "{{mirror $i}}; : )"), expect_warm=False),
    brokered("subshell_status", each("( {{mirror $i --exit 9}}; exit $(( $? + 1 )) ); echo $?"), expect_warm=False),
    brokered("while_read_pipe", "printf '%s\\n' 1 2 3 4 | while read -r i; do {{mirror $i}}; done", expect_warm=False),
    brokered("while_read_pipe_null",
             "printf '%s\\n' 1 2 3 4 | while read -r i; do {{mirror $i}} </dev/null; done", expect_warm=False),
    Context("while_read_file", "while read -r i; do {{mirror $i}}; done < input"),
    Context("while_read_third", "while read -r i <&3; do {{mirror $i}}; done 3< input"),
    brokered("process_substitution_in", each("cat <({{mirror $i --say said}})")),
    brokered("process_substitution_out",
             each("{ echo abc; } > >({{mirror $i --read 3}}); wait $!"), expect_warm=False),
    Context("process_substitution_argument", each("{{mirror $i}} <(:); wait")),
    cold("coprocess", "coproc {{mirror 1 --say said}}\nread -r x <&${COPROC[0]}; echo $x; wait"),
    cold("background", each("{{mirror $i}} & wait $!; echo $?")),
    cold("background_several", each("{{mirror $i}} &") + "\nwait; echo $?"),
    cold("background_next", each("{{mirror $i --exit $i}} & wait -n; echo $?")),
    cold("background_group", each("{ {{mirror $i-a}}; {{mirror $i-b}}; } & wait $!")),
    Context("beside_background", "mirror --linger 30 >/dev/null &\n" + calls + "\nwait"),
]

names = [
    Context("quoted_name", each("{{'mir'ror $i}}; {{\\mirror $i-escaped}}")),
    Context("variable_name", each("{{$m $i}}", "m=mirror")),
    Context("alias", "shopt -s expand_aliases; alias m='mirror extra'\n" + each("{{m $i}}")),
    Context("command_builtin", each("command {{mirror $i}}")),
    Context("command_default_path", each("command -p {{mirror $i-never}}; echo $?; {{mirror $i}}")),
    Context("absolute_path", each("{{%BIN%/mirror $i}}")),
    Context("relative_path", each("{{../bin/mirror $i}}"), expect_warm=False),
    Context("relative_path_entry", each("{{mirror $i}}", "PATH=../bin:/usr/bin:/bin"),
            expect_warm=False),
    Context("symbolic_link", each("{{mirror-link $i}}; {{mirror $i-target}}")),
    Context("several_names",
            each("{{mirror $i-a}}; {{mirror-one $i-b}}; {{mirror-two $i-c}}; "
            "{{mirror-link $i-d}}")),
    brokered("exec_other_name", each("( exec -a other {{mirror $i}} )"), expect_warm=False),
    brokered("exec_login_name", each("( exec -l {{mirror $i}} )"), expect_warm=False),
    brokered("exec_no_environment", each("( exec -c {{mirror $i}} )"), expect_warm=False),
    Context("exec_last", calls + "\nexec {{mirror last}}"),
    Context("function_of_same_name",
            each("mirror $i", "mirror() { command {{mirror $1-called shadowed}}; }")),
    Context("function_then_unset", "mirror() { echo shadow; }\nmirror\nunset -f mirror\n" + calls),
    Context("hashed", "hash mirror\n" + calls + "\nhash -r\n{{mirror 5}}\nhash -t mirror"),
    Context("hashed_elsewhere", calls + "\nhash -p %BIN%/../other-bin/mirror mirror\n{{mirror 5}}"),
    Context("path_changed", calls + "\nPATH=%BIN%/../other-bin:$PATH\n" + each("{{mirror b$i}}")),
    Context("path_for_one_call",
            each("PATH=%BIN%/../other-bin:$PATH {{mirror $i-a}}; {{mirror $i-b}}")),
    Context("path_empty_then_back",
            "{{mirror 1}}; P=$PATH; PATH=; {{mirror 2}}; echo $?; PATH=$P; {{mirror 3}}; "
            "{{mirror 4}}"),
    Context("not_found", calls + "\nno-such-program; echo $?"),
    cold("through_env", each("env {{mirror $i}}")),
    cold("through_xargs", "printf '%s\\n' 1 2 3 4 | xargs -I@ {{mirror @}}"),
    cold("through_find", each("find . -maxdepth 1 -name input -exec {{mirror $i}} ';'")),
    cold("through_nohup", each("nohup {{mirror $i}}")),
    cold("through_setsid", each("setsid -w {{mirror $i}}")),
    cold("through_sh", each("""sh -c '{{mirror "$1"}}' sh $i""")),
]

replaced = [
    Context("replaced_by_rename",
            calls + "\ncp %D%/bin/mirror-v2 %D%/bin/new; mv %D%/bin/new %D%/bin/mirror\n"
            + each("{{mirror b$i}}"), own_programs=True),
    Context("removed",
            calls + "\nrm %D%/bin/mirror\n{{mirror 5}}; echo $?\nhash -r; {{mirror 6}}; echo $?",
            own_programs=True),
    Context("not_executable",
            calls + "\nchmod 644 %D%/bin/mirror\n{{mirror 5}}; echo $?", own_programs=True),
    Context("touched",
            calls + "\ntouch %D%/bin/mirror\n" + each("{{mirror b$i}}"), own_programs=True),
    Context("directory_renamed", calls + "\nmv %D%/bin %D%/bin-2\n{{mirror 5}}; echo $?\n"
            "PATH=%D%/bin-2:$PATH; {{mirror 6}}; echo $?", own_programs=True),
    Context("link_turned", each("{{mirror-link $i}}") + "\nln -sfn mirror-v2 %D%/bin/mirror-link\n"
            + each("{{mirror-link b$i}}"), own_programs=True),
    Context("library_replaced", each("{{mirror-choice $i}}") +
            "\ncp %D%/bin/lib/b/libmirror_choice.so %D%/bin/lib/a/new.so"
            "\nmv %D%/bin/lib/a/new.so %D%/bin/lib/a/libmirror_choice.so\n"
            + each("{{mirror-choice b$i}}"), own_programs=True),
    Context("library_appeared", each("{{mirror-choice $i}}") +
            "\ncp %D%/bin/lib/b/libmirror_choice.so %D%/bin/lib/libmirror_choice.so\n"
            + each("{{mirror-choice b$i}}"), own_programs=True),
    Context("became_script",
            calls + "\nprintf '#!/bin/sh\\necho script \"$0\" \"$#\"\\n' > %D%/bin/new; "
            "chmod 755 %D%/bin/new; mv %D%/bin/new %D%/bin/mirror\n{{mirror 5}}\n"
            "{{mirror 6}}", own_programs=True),
]

options = [
    Context("errexit", each("{{mirror $i}}", "set -e") + "\n{{mirror last --exit 3}}\necho never"),
    Context("errexit_tested", each("{{mirror $i --exit 2}} || echo $?", "set -e")),
    Context("monitor", each("{{mirror $i}}", "set -m"), expect_warm=False),
    brokered("monitor_pipeline",
             each("{{mirror $i-a --say x}} | {{mirror $i-b --read 1}}", "set -m"),
             expect_warm=False),
    brokered("monitor_subshell", each("( {{mirror $i}}; : )", "set -m"), expect_warm=False),
    cold("monitor_background", each("{{mirror $i}} & wait $!", "set -m")),
    Context("xtrace", each("{{mirror $i}}", "set -x"), ignore=["fd.0002.offset"]),
    Context("verbose", each("{{mirror $i}}", "set -v")),
    Context("posix", each("{{mirror $i}}", "set -o posix")),
    Context("nounset_pipefail", each("{{mirror $i}}", "set -u -o pipefail -f")),
    Context("noclobber",
            each("{{mirror $i}} > file-$i; {{mirror $i-again}} > file-$i; echo $?", "set -C")),
    Context("keyword", each("{{mirror $i A=1 B=2}}", "set -k")),
    Context("allexport", each("V=$i; {{mirror $i}}", "set -a")),
    Context("noexec_hash", each("{{mirror $i}}", "set +h")),
    Context("privileged", each("{{mirror $i}}", "set -p"), expect_warm=False),
    Context("extdebug", each("{{mirror $i}}", "shopt -s extdebug")),
    Context("debug_trap", each("{{mirror $i}}", "trap 'n=$((n+1))' DEBUG") + "\necho $n"),
    Context("err_trap", each("{{mirror $i --exit 3}}", "trap 'echo err $?' ERR")),
    Context("exit_trap", calls + "\ntrap '{{mirror at-exit}}' EXIT"),
    Context("chld_trap", each("{{mirror $i}}", "trap 'echo chld' CHLD")),
    Context("usr1_trap_calls",
            each("kill -USR1 $$; {{mirror $i}}", "trap '{{mirror trapped-$i}}' USR1")),
    Context("restricted", each("{{mirror $i}}", "set -r"), expect_warm=False),
    Context("wide_loop", "for ((i = 0; i < 20; i++)); do {{mirror $i}}; done"),
]

statuses = [
    Context("status", each("{{mirror $i --exit $((i * 50))}}; echo $?")),
    Context("status_signals",
            "ulimit -c 0\nfor i in 1 2 6 9 11 13 14 15 34; do {{mirror $i --signal $i}}; "
            "echo $?; done"),
    brokered("status_signals_subshell",
             "ulimit -c 0\nfor i in 6 9 11 15; do ( {{mirror $i --signal $i}}; echo $? ); "
             "x=$({{mirror $i-s --signal $i}}); echo $?; done"),
    brokered("status_signals_pipeline",
             'ulimit -c 0\nfor i in 6 9 11 13 15; '
             'do {{mirror $i-a --signal $i}} | {{mirror $i-b --signal $i}}; '
             'echo "${PIPESTATUS[@]}"; done'),
    Context("output", each("{{mirror $i --say out --say-error err}}")),
    brokered("output_order", each("{ echo a; {{mirror $i --say b}}; echo c; } | cat")),
    # The reader goes first, then lets the mirror on by the fifo: it must die of SIGPIPE.
    brokered("output_to_closed_pipe",
             each("{{mirror $i --read 1 --say text}} < go | { exec 0<&-; echo > go; }\n"
                                           "echo ${PIPESTATUS[0]}", "mkfifo go")),
    Context("output_full", each("{{mirror $i --say text}} > /dev/full; echo $?")),
]

sections = [
    Context("canary", each("{{mirror $i --canary}}"), distinct=["canary.value", "canary.at_random"],
            ignore=["canary.pointer_guard"]),
    brokered("canary_subshell", each("( {{mirror $i --canary}}; : )"),
             distinct=["canary.value", "canary.at_random"], ignore=["canary.pointer_guard"], expect_warm=False),
    Context("constructor", each("{{mirror-constructor $i --constructor}}"), expect_warm=False,
            shows=["constructor.argc"]),
    Context("usage", each("{{mirror $i --usage}}"), shows=["usage.age"]),
    Context("children_environment", each("{{mirror $i --child}}"), shows=["child.environment"]),
    brokered("children_environment_subshell", each("( {{mirror $i --child}}; : )"), expect_warm=False),
    Context("children_environment_preload",
            each("{{mirror $i --child}}", "export LD_PRELOAD=%BIN%/lib/libmirror_preload.so "
            "PREWARM_X=1"), expect_warm=False),
    Context("library_atfork",
            each("{{mirror-atfork $i}}"), distinct=["library.seed"],
            shows=["library.seeded_by_this_process"]),
    brokered("library_atfork_subshell",
             each("( {{mirror-atfork $i}}; : )"), distinct=["library.seed"],
             shows=["library.seeded_by_this_process"], expect_warm=False),
    Context("library_thread",
            each("{{mirror-thread $i}}"), expect_warm=False, shows=["library.thread_answers"]),
    brokered("library_thread_subshell", each("( {{mirror-thread $i}}; : )"), expect_warm=False),
    Context("library_getenv",
            each("{{mirror-getenv $i-unset}}") + each("export MIRROR_CTOR=$i; {{mirror-getenv $i}}")
            + each("MIRROR_CTOR=p$i {{mirror-getenv $i-prefix}}"), expect_warm=False),
    Context("library_getenv_constant",
            each("{{mirror-getenv $i}}"), environment={"MIRROR_CTOR": "from caller"},
            shows=["library.variable_before_main"]),
    Context("library_openfd",
            each("{{mirror-openfd $i}}"), expect_warm=False, shows=["library.descriptor"]),
    Context("library_openfd_busy",
            each("{{mirror-openfd $i}} 3< input 5< input"), expect_warm=False),
    Context("library_choice", each("{{mirror-choice $i}}"), shows=["library.choice"]),
    cold("static", each("{{mirror-static $i}}")),
    cold("static_subshell", each("x=$({{mirror-static $i --say said}}); echo $x")),
    Context("mixed_programs",
            each("{{mirror $i-a}}; {{mirror-static $i-b}}; {{mirror-one $i-c}}; "
            "{{mirror-v2 $i-d}}")),
]

# What the shell itself can tell afterwards.
shells_view = [
    Context("underscore_after", each('{{mirror $i last}}; echo "$_"')),
    Context("hash_table", calls + "\nhash; hash -t mirror; hash -l"),
    Context("type_of_name",
            calls + "\ntype mirror; type -a mirror; type -t mirror; type -P mirror; "
            "command -v mirror;"
            " command -V mirror"),
    Context("not_a_builtin",
            calls + "\nbuiltin mirror; echo $?; enable mirror; echo $?; enable -n mirror; echo $?; "
            "help mirror; echo $?"),
    Context("completions",
            calls + "\ncompgen -b | sort; compgen -c mirror | sort -u; enable; "
            "compgen -A function; "
            "compgen -A helptopic mirr"),
    Context("shell_state",
            calls + "\ncompgen -v | sort; set +o; trap; alias; umask; ulimit -a; declare -f; "
            "dirs; jobs -l; "
            "echo \"!=$!\""),
    Context("waited", calls + "\nwait; echo $?; wait -n; echo $?; jobs; echo $SHLVL $LINENO"),
    Context("bash_command",
            each("{{mirror $i}}; echo \"$BASH_COMMAND $BASH_SUBSHELL ${#PIPESTATUS[@]}\"")),
    Context("usage_of_children", each("{{mirror $i}}") + "\ntimes | wc -l"),
]

contexts = shells_view + plain + subshells + names + replaced + options + statuses + sections

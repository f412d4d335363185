# SPDX-License-Identifier: MIT
"""Real programs, as Debian has them."""

from image_suite.cases import Case

_WORDS = "pear\nApple\nfig\napple\nBanana\ncherry\n" * 40
_PERL_MODULES = """\
use strict; use POSIX qw(floor strftime LC_ALL setlocale); use List::Util qw(sum reduce shuffle);
use Time::HiRes (); use Data::Dumper; use Storable qw(freeze thaw); use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha256_hex); use Encode; use Fcntl ':flock'; use Socket; use IO::Select;
use MIME::Base64; use File::Glob ':bsd_glob'; use Sys::Hostname; use Unicode::Normalize;
print floor(3.7), " ", sum(1..10), " ", (reduce { $a * $b } 1..6), "\\n";
print md5_hex("a"), sha256_hex("b"), encode_base64("c"), NFD("\\x{e9}") eq "e\\x{301}", "\\n";
print Dumper(thaw(freeze({a => [1, 2, {b => undef}]})));
print strftime("%Y-%m-%d", gmtime(86400)), " ", length(encode("UTF-16", "\\x{263a}")), "\\n";
my @found = map { ref } (qr/x/, \\1, sub {}); print "@found\\n";
my $pid = fork; if (!$pid) { print "child\\n"; exit 3 } waitpid $pid, 0; print $? >> 8, "\\n";
print `echo by the shell`; eval { die { code => 5 } }; print $@->{code}, "\\n";
local $SIG{ALRM} = sub { print "alarm\\n" }; kill ALRM => $$;
printf "%s %s\\n", $0, join ",", @ARGV; print STDERR "to stderr\\n"; exit 7;
"""
_PERL_DBI = "use DBI; print join(',', sort grep !/Proxy|Gofer/, DBI->available_drivers), qq(\\n);"
_PYTHON = """\
import ctypes, decimal, hashlib, json, lzma, bz2, zlib, multiprocessing, os, select, signal
import sqlite3, ssl, subprocess, sys, threading, unicodedata, uuid, xml.etree.ElementTree as tree
import contextvars, curses, mmap, resource, socket, struct, asyncio, concurrent.futures, faulthandler
print(sys.executable, sys.argv, sys.flags.hash_randomization)
print(ctypes.CDLL(None).strlen(b"abcd"), ctypes.pythonapi.Py_GetVersion is not None)
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
numbers = (ctypes.c_int * 5)(5, 3, 1, 4, 2)
ctypes.CDLL(None).qsort(numbers, 5, 4, callback(lambda a, b: a[0] - b[0]))
print(list(numbers), decimal.Decimal(2).sqrt(), hashlib.sha256(b"x").hexdigest())
print(zlib.decompress(zlib.compress(b"z" * 99)), lzma.decompress(lzma.compress(b"l")), bz2.compress(b"b"))
print(sqlite3.connect(":memory:").execute("select 6 * 7, sqlite_version()").fetchall())
print(ssl.OPENSSL_VERSION, len(ssl.create_default_context().get_ca_certs()) >= 0)
print(subprocess.run(["sh", "-c", "echo $0; exit 3"], capture_output=True))
print(subprocess.run(["/bin/echo", "spawned"], close_fds=False, stdout=subprocess.PIPE).stdout)
print(tree.fromstring("<a><b>text</b></a>")[0].text, unicodedata.name("\\u263a"))
total = []
threads = [threading.Thread(target=lambda: total.append(sum(range(10000)))) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]; print(total == [49995000] * 8)
with concurrent.futures.ProcessPoolExecutor(2) as pool: print(list(pool.map(abs, [-1, -2, -3])))
async def late():
    await asyncio.sleep(0)
    return (await (await asyncio.create_subprocess_exec("echo", "async", stdout=-1)).communicate())[0]
print(asyncio.run(late()))
pid = os.fork()
if pid == 0: os._exit(9)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
def deep(n): return 0 if n == 0 else 1 + deep(n - 1)
sys.setrecursionlimit(6000); print(deep(5000))
try: deep(7000)
except RecursionError as error: print(error)
signal.signal(signal.SIGUSR1, lambda *_: print("signal")); os.kill(os.getpid(), signal.SIGUSR1)
try: ctypes.CDLL("libnothere.so")
except OSError as error: print(error)
import atexit; atexit.register(print, "at exit"); sys.exit(4)
"""
_NSS = """\
import grp, locale, os, pwd, socket
print(pwd.getpwnam("root"), pwd.getpwall()[:3], grp.getgrgid(0), os.getgrouplist("root", 0))
print(socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM), socket.getservbyname("ssh"))
print(socket.gethostbyname("localhost"), locale.setlocale(locale.LC_ALL, ""), locale.localeconv())
"""
_GIT = """\
[user]
	name = Tester
	email = tester@example.org
[init]
	defaultBranch = main
[safe]
	directory = *
[gc]
	auto = 0
[maintenance]
	auto = false
"""
_GIT_DATES = {"GIT_AUTHOR_DATE": "2020-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
_C_PROGRAM = """\
#include <math.h>
#include <stdio.h>
int main(int argc, char **argv) { return printf("%s %d %.3f\\n", "compiled", argc, sqrt(argc)) < 0; }
"""
_CXX_PROGRAM = """\
#include <iostream>
#include <map>
#include <regex>
int main() { std::map<int, int> m; for (int i = 0; i < 9; ++i) m[i] = i * i;
  std::cout << std::regex_replace("abc", std::regex("b"), "x") << m[8] << std::endl; }
"""
_MAKEFILE = """\
all: one two
	@cat one two
one two:
	@printf '%s\\n' $@ | tr a-z A-Z > $@
"""
_AWK = """\
{ count[$1]++ } END { for (word in count) print word, count[word] | "sort"; close("sort");
printf "%.4f %s\\n", sin(1), toupper("done"); system("echo system"); exit 2 }
"""
_BASH = """\
trap 'echo trap $?' EXIT; declare -A map=([a]=1 [b]=2); echo "${!map[@]}" | tr ' ' '\\n' | sort
for ((i = 0; i < 3; i++)); do (exit $i); echo $?; done; cat <<< here; x=$(echo sub | sed s/s/S/)
echo $x $0 $# "$@" $((3 ** 5)) ${x^^} <(:) | sed 's/[0-9]*$//'; [[ abc =~ ^a(.)c$ ]] && echo ${BASH_REMATCH[1]}
printf '%q %(%Y)T\\n' 'a b' 0; wait & wait; shopt -s extglob; echo @(a|b); read -r a b < input; echo $b
kill -USR1 $$ 2>/dev/null & wait $!; enable -f /usr/lib/bash/sleep sleep 2>/dev/null; exit 5
"""
_SQL = """\
create table t(a integer primary key, b text); insert into t(b) values('x'),('y'),('z');
select group_concat(b), sum(a), hex(zeroblob(3)), json('{"a":1}') from t; .schema
create virtual table f using fts5(c); insert into f values('some words'); select * from f('words');
select sqrt(2.0), printf('%08.3f', 3.14159); .quit
"""
_JAVASCRIPT = """\
const fs = require('fs'), crypto = require('crypto'), zlib = require('zlib');
console.log(process.argv0, process.argv.slice(2), crypto.createHash('sha256').update('x').digest('hex'));
console.log(zlib.gunzipSync(zlib.gzipSync('z')).toString(), require('child_process').execSync('echo c').toString());
new (require('worker_threads').Worker)('require("worker_threads").parentPort.postMessage(5)', {eval: true})
  .on('message', (m) => { console.log('worker', m); process.exitCode = 3; });
"""
_GDB = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off"]
_ADDRESS = r"0x[0-9a-f]{6,}"


def _python():
    # Debian's own, whatever else is first in PATH.
    return "/usr/bin/python3"


_CASES = [
    Case("ls", ["ls", "-la", "--color=always", "-i", "/etc/passwd", "/usr/share/doc/base-files"]),
    Case("ls-fails", ["ls", "/nonexistent"]),
    Case("ls-locale", ["ls", "--help"], environment={"LC_ALL": "en_US.UTF-8"}),
    Case("id", ["id"]),
    Case("env", ["env"]),
    Case("env-0", ["env", "-i", "A=b", "env"]),
    Case("cat", ["cat", "-", "input"], {"input": _WORDS}, stdin=b"first\n\xff\n"),
    Case("sort", ["sort", "-u", "-k1,1", "--parallel=4", "-o", "sorted", "input"],
         {"input": _WORDS}),
    Case("tar", ["tar", "--owner=0", "--group=0", "--mtime=@0", "-czf", "all.tar.gz", "a", "b"],
         {"a": _WORDS, "b": "b" * 100000}),
    Case("gzip", ["gzip", "-9nk", "input"], {"input": _WORDS}),
    Case("xz", ["xz", "-kT2", "input"], {"input": _WORDS}),
    Case("find", ["find", "/etc/apt", "-type", "f", "-newermt", "2000-01-01", "-exec", "basename",
                  "{}", "+"]),
    Case("find-user", ["find", "/etc/passwd", "-printf", "%u %g %s\n"]),
    Case("sed", ["sed", "-n", "-E", "s/(a+)p/[\\1]/gp;$=", "input"], {"input": _WORDS}),
    Case("awk", ["awk", _AWK, "input"], {"input": _WORDS}),
    Case("grep-P", ["grep", "-P", "-o", "-n", "(?<=a)p+", "input"], {"input": _WORDS}),
    Case("date", ["date", "-u", "-d", "@86400", "+%c %N"]),
    Case("stat", ["stat", "-c", "%U %a %F", "/etc/passwd", "/dev/null"]),
    Case("bash", ["bash", "-c", _BASH, "zero", "one", "two words"], {"input": "a b c\n"}),
    Case("bash-builtin", ["bash", "-c", "echo $BASHPID >&2; exec 3>x; echo y >&3; type ls; ulimit -s"],
         ignore=(r"^\d+$",)),
    Case("bash-signal", ["bash", "-c", "kill -TERM $$"], dies=True),
    Case("bash-abort", ["bash", "-c", "kill -SEGV $$"], dies=True, ignore_files=("core*",)),
    Case("dash", ["dash", "-c", "echo $0 $#; ls | wc -l; trap 'echo bye' 0; exit 6", "zero"]),
    Case("perl", ["perl", "-e", _PERL_MODULES, "an argument"]),
    Case("perl-dbi", ["perl", "-e", _PERL_DBI], needs=("/usr/lib/x86_64-linux-gnu/perl5",)),
    Case("python", [_python(), "-c", _PYTHON, "arg"], ignore=(r"'/tmp/\S+'",)),
    Case("python-nss", [_python(), "-c", _NSS]),
    Case("sqlite3", ["sqlite3", "db"], stdin=_SQL.encode(), ignore_files=("db",)),
    Case("iconv", ["iconv", "-f", "ISO-8859-15", "-t", "UTF-16//TRANSLIT"], stdin=b"caf\xe9 \xa4\n"),
    Case("iconv-more", ["iconv", "-f", "EUC-JP", "-t", "SHIFT_JIS"], stdin=b"\xa4\xa2\xa4\xa4\n"),
    Case("iconv-list", ["iconv", "-l"]),
    Case("getent", ["getent", "passwd", "root"]),
    Case("getent-hosts", ["getent", "ahosts", "localhost"]),
    Case("locale", ["locale", "-a"]),
    Case("openssl-providers", ["openssl", "list", "-providers", "-provider", "legacy",
                               "-provider", "default"]),
    Case("openssl-dgst", ["openssl", "dgst", "-sha3-256", "input"], {"input": _WORDS}),
    Case("openssl-enc", ["openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-S", "0011223344556677",
                         "-k", "secret", "-in", "input", "-out", "output"], {"input": _WORDS}),
    Case("openssl-req", ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                         "/CN=test", "-keyout", "key", "-out", "certificate", "-quiet"],
         ignore_files=("key", "certificate"), ignore=(r"^[.+*-]+$",)),
    Case("ssh-version", ["ssh", "-V"]),
    Case("ssh-keygen", ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"],
         ignore_files=("key*",)),
    Case("curl-file", ["curl", "-sS", "file://%D%/input"], {"input": _WORDS}),
    Case("curl-version", ["curl", "--version"]),
    Case("curl-refused", ["curl", "-sS", "http://127.0.0.1:1/"], ignore=(r"after \d+ ms",)),
    Case("git-init", ["git", "init", "-q", "."], {".gitconfig": _GIT},
         ignore_files=(".git/*sample",)),
    Case("git-hash", ["git", "hash-object", "-w", "--stdin"],
         {".gitconfig": _GIT, ".git/HEAD": "ref: refs/heads/main\n", ".git/refs/x": "",
          ".git/objects/x": "", ".git/config": ""}, stdin=b"contents\n",
         ignore_files=(".git/objects/*",)),
    Case("git-commit", ["git", "-c", "alias.all=!git init -q . && git add input && git commit -qm one"
                        " && git clone -q . copy && git -C copy log --stat -p", "all"],
         {".gitconfig": _GIT, "input": _WORDS}, environment=_GIT_DATES,
         ignore_files=("*.git/*",)),
    Case("gcc", ["gcc", "-O1", "-o", "program", "program.c", "-lm"], {"program.c": _C_PROGRAM}),
    Case("gcc-error", ["gcc", "-c", "program.c"], {"program.c": "int main( { return; }\n"}),
    Case("as", ["as", "-o", "program.o", "program.s"], {"program.s": ".globl f\nf: ret\n"}),
    Case("objdump", ["objdump", "-d", "--start-address=0", "/usr/bin/true"]),
    Case("make", ["make", "-j2"], {"Makefile": _MAKEFILE}),
    Case("gdb-version", [*_GDB, "--version"]),
    Case("gdb-file", [*_GDB, "-ex", "info functions main", "-ex", "python print(6 * 7)",
                      "/usr/bin/gdb"], ignore=(_ADDRESS,)),
    Case("jq", ["jq", "-c", ".a[] | {b: (. * 2), c: @base64}"], stdin=b'{"a": [1, 2, 3.5]}'),
    Case("bc", ["bc", "-l"], stdin=b"scale=30; 4*a(1); 2^200\n"),
    Case("tclsh", ["tclsh"], stdin=b"puts [expr {sqrt(2)}]; puts [exec echo c]; exit 3\n"),
    Case("vim", ["vim", "-u", "NONE", "-es", "+%s/a/X/g", "+w! output", "+qa!", "input"],
         {"input": _WORDS}, ignore_files=(".viminfo",)),
    Case("zstd", ["zstd", "-q", "-T2", "-k", "input"], {"input": _WORDS}),
    Case("node", ["node", "-e", _JAVASCRIPT, "arg"]),
    Case("cmake", ["cmake", "-E", "sha256sum", "input"], {"input": _WORDS}),
    Case("xmllint", ["xmllint", "--format", "-"], stdin=b"<a><b/>t</a>"),
    Case("ldd", ["ldd", "/bin/ls"], ignore=(_ADDRESS,), may_refuse=True),
    Case("busybox", ["busybox", "echo", "static"], may_refuse=True),
    Case("sudo", ["passwd", "--status", "root"], may_refuse=True),
]

_MORE = [
    Case("g++", ["g++", "-O1", "-pthread", "-o", "program", "program.cc"],
         {"program.cc": _CXX_PROGRAM}),
    Case("clang", ["clang", "-O1", "-o", "program", "program.c", "-lm"],
         {"program.c": _C_PROGRAM}),
    Case("perl-tests", ["perl", "-e", "use Test::More tests => 2; ok(1); isa_ok([], q(ARRAY))"]),
]
_SOME = ("ls", "bash", "perl", "python", "curl-version", "cmake", "iconv", "gdb-version",
         "openssl-providers", "getent")


def all_cases():
    cases = _CASES + _MORE
    for case in cases:
        case.is_long = case.name not in _SOME
    return cases

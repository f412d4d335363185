#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""prewarm.preload: an interpreter that was held does with its arguments what a fresh one does."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap

from driver import CapersWorker

HERE = os.path.dirname(os.path.abspath(__file__))
PRELOAD = os.path.join(HERE, "../../sdk/python/prewarm/preload.py")

SHOW = """
import sys, os
print(sorted((k, str(v).partition(' object at ')[0]) for k, v in globals().items()))
print(sys.argv, getattr(sys, 'orig_argv', None), sys.path, sys.executable, sys.flags, __name__)
print(sys.modules['__main__'].__dict__ is globals(), sys.stdin.read())
"""
FILES = {
    "show.py": SHOW,
    "fails.py": "def f():\n    raise ValueError('x')\ntry:\n    f()\n"
                "except ValueError:\n    1 / 0\n",
    "wrong.py": "print('before')\nif x\n",
    "coded.py": "# -*- coding: latin-1 -*-\nprint(ascii('\xe4'))\n",
    "stops.py": "import sys\nsys.exit('stopped')\n",
    "interrupted.py": "raise KeyboardInterrupt\n",
    "module_a.py": SHOW,
    "package/__init__.py": "print('package')\n",
    "package/__main__.py": SHOW,
    "library/known.py": "if __name__ == '__main__':\n" + textwrap.indent(SHOW, "    "),
    "library/imports_itself.py": "import imports_itself\nif __name__ == '__main__':\n"
                                 "    print(imports_itself.__name__, imports_itself is not None)\n",
    "library/fails_as_main.py": "if __name__ == '__main__':\n    1 / 0\n",
    "library/parcel/__init__.py": "",
    "library/parcel/part.py": "import sys, parcel\nif __name__ == '__main__':\n"
                              "    print(__spec__.name, hasattr(parcel, 'part'), sys.argv)\n",
    "library/parcel/__main__.py": "import parcel.part\n" + SHOW,
    "library/eager/__init__.py": "import eager.part\n",
    "library/eager/part.py": "if __name__ == '__main__':\n    print('eager')\n",
    "fails_too.py": "import json\njson.loads('{')\n",
    "data.py": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))))\n",
    "shadow/json.py": "print('my own json')\n",
    "shadow/main.py": "import json\nprint(json.__file__)\n",
}
CASES = [
    ["show.py", "a", "b c"], ["./show.py"], ["package"], ["fails.py"], ["wrong.py"], ["coded.py"],
    ["stops.py"], ["interrupted.py"], ["nothing.py"], ["fails_too.py"], ["data.py"],
    ["shadow/main.py"], ["-c", SHOW, "x"], ["-c", "1/0"], ["-c", "if"], ["-c"],
    ["-m", "module_a", "y"], ["-m", "package"], ["-m", "no_such"], ["-m", "json.tool"],
    ["-m", "known", "z"], ["-m", "imports_itself"], ["-m", "fails_as_main"], ["-m", "parcel", "z"],
    ["-m", "parcel.part", "z"], ["-m", "parcel.none"], ["-m", "eager.part"], ["-m", "eager"],
    ["-m", "known.part"], ["-m", "fails"], ["-m"], ["-E", "show.py"],
    ["-O", "-c", SHOW], ["-I", "show.py"],
    ["-W", "error", "show.py"], ["-V"], ["-"], [], ["--help-me"], [""],
]


def write_files(directory: str) -> None:
    for name, text in FILES.items():
        path = os.path.join(directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="latin-1") as file:
            file.write(text)


def main() -> int:
    bad = 0
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory() as directory:
        directory = os.path.realpath(directory)
        write_files(directory)
        environment["PYTHONPATH"] = os.path.join(directory, "library")
        modules = ("json,ssl,argparse,no_such_module,pickle,known,imports_itself,fails_as_main,"
                   "parcel,parcel.part,eager")
        worker = CapersWorker([sys.executable, PRELOAD, modules], 60, env=environment, cwd="/usr")
        try:
            worker.negotiate()
            for case in CASES:
                given = b"print('from stdin')\n"
                plain = subprocess.run([sys.executable, *case], input=given, capture_output=True,
                                       cwd=directory, env=environment, check=False)
                served = worker.run(*case, stdin=given, name=sys.executable,
                                    fields=[("cwd", directory.encode())])
                code = served.exit if served.exit is not None else -served.signal
                expected = (plain.returncode, plain.stdout, plain.stderr)
                if (code, served.out, served.err) != expected:
                    bad += 1
                    print("%r:\n  fresh %r\n  held  %r" % (
                        case, expected, (code, served.out, served.err)))
            if "no_such_module" not in worker.said():
                bad += 1
                print("not said: that a module can't be imported")
        finally:
            worker.close()
    print("%d of %d differ" % (bad, len(CASES)))
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())

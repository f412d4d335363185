# SPDX-License-Identifier: MIT
"""ready_tool.py where kernel or Python have no pidfds: ends of children are told by SIGCHLD."""

import os
import runpy

del os.pidfd_open
runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "ready_tool.py"),
               run_name="__main__")

# SPDX-License-Identifier: MIT
"""The conformance tool as a worker that serves one invocation after another."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../sdk/python"))

import contract  # noqa: E402
import prewarm  # noqa: E402

if __name__ == "__main__":
    prewarm.serve(contract.main)

# SPDX-License-Identifier: MIT
"""Keep a Python tool running, and let it serve one invocation after another.

    import prewarm
    prewarm.serve(main)      # one process serves all invocations, one after the other
    prewarm.ready(); main()  # each invocation is a fork of the process at this point

Started by nobody in particular, the tool does what it always did. See README.md.
"""

from prewarm._ready import ready
from prewarm._serve import serve

__all__ = ["ready", "serve"]
__version__ = "0.1.0"

# SPDX-License-Identifier: MIT
"""What run.py is made of: fetch bash's source, build its helpers, run and compare."""

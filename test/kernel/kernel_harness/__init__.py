# SPDX-License-Identifier: MIT
"""Parts of the kernel test: see run.py."""

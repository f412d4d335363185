# SPDX-License-Identifier: MIT
"""What compare.py is made of: run a script, look at everything it left, compare."""

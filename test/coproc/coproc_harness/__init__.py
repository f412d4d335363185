# SPDX-License-Identifier: MIT
"""What the tests of coprocesses share; each module says what it is for."""

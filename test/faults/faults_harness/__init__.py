# SPDX-License-Identifier: MIT
"""What the fault tests share; each module says what it is for."""

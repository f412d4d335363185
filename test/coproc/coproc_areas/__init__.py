# SPDX-License-Identifier: MIT
"""One module for each area; importing it registers its cases."""

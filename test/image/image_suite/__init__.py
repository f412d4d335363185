# SPDX-License-Identifier: MIT
"""Programs that are started from images, compared with plain starts."""

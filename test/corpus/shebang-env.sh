#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A shebang by way of env.
cut -c1 <<<abc; echo "$0 $BASH_VERSION" | wc -w; seq 3 | tail -n 1

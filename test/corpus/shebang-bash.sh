#!/bin/bash
# SPDX-License-Identifier: MIT
# A shebang that names bash, with an option that is not obeyed when bash is given the file.
echo "$-"; cut -c1 <<<abc; /bin/false; echo $?

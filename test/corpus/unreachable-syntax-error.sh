# SPDX-License-Identifier: MIT
# The same after exit: never seen, no message.
cut -c1 <<<abc; seq 2 | tail -n 1
exit 4
fi ) esac "

# SPDX-License-Identifier: MIT
# Lines that end with carriage returns, as from another system.
cut -c1 <<<abc
echo x | tr x y
x=$(rev <<<ab)
echo "$x"
nosuchcommand-xyz
ls nosuch
:
exit 3

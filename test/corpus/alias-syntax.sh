# SPDX-License-Identifier: MIT
# Aliases that change the grammar of what follows: a parser that looks ahead is misled.
shopt -s expand_aliases
alias begin='{' end='}' unless='if !' loop='for i in 1 2 3; do' pool='done'
begin cut -c1 <<<abc; end
unless grep -q x </dev/null; then echo absent | cat; fi
loop echo $i | rev; pool
alias cut='sed -n 1p #'
cut -c1 <<<not this file
rev <<<after
unalias cut
cut -c1 <<<xyz
alias comment='#' pair='tr a b <<<a; tr b c <<<'
comment cut never
pair b

# SPDX-License-Identifier: MIT
# env: LD_PRELOAD=/nosuchlib/preload.so
# LD_PRELOAD that the user set (to what is not there): kept, and the loader complains each time.
exec 2>&1
env | grep ^LD_PRELOAD; cut -c1 <<<abc; echo a | tr a b | sed s/b/c/; x=$(rev <<<ab); echo "$x"; (cut -c2 <<<abc); cat /proc/self/environ | tr '\0' '\n' | grep ^LD_PRELOAD; LD_PRELOAD= cut -c1 <<<empty; unset LD_PRELOAD; cut -c1 <<<unset; LD_PRELOAD=/nosuch/other.so cut -c1 <<<prefix; LD_BIND_NOW=1 cut -c1 <<<now; LD_DEBUG=help cut 2>&1 | head -n 1; export LD_TRACE_LOADED_OBJECTS=1; cut -c1 <<<x | grep -c libc; /usr/bin/rev <<<x | grep -c libc; unset LD_TRACE_LOADED_OBJECTS; cut -c1 <<<end; export GLIBC_TUNABLES=glibc.malloc.perturb=7 MALLOC_PERTURB_=3; cut -c1 <<<tuned; env | grep -cE '^(GLIBC|MALLOC)'

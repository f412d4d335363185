# SPDX-License-Identifier: MIT
# LD_PRELOAD and other variables of the loader, set in mid-script: kept, obeyed, complained of.
exec 2>&1
export LD_PRELOAD=/nosuchlib/preload.so
/usr/bin/env | grep ^LD_PRELOAD; cut -c1 <<<abc; x=$(rev <<<ab); echo "$x"; (cut -c2 <<<abc; :)
cat /proc/self/environ >environ; LD_PRELOAD= tr '\0' '\n' <environ | LD_PRELOAD= grep ^LD_PRELOAD; rm environ; LD_PRELOAD= cut -c1 <<<empty; unset LD_PRELOAD; cut -c1 <<<unset
LD_PRELOAD=/nosuch/other.so cut -c1 <<<prefix; LD_BIND_NOW=1 cut -c1 <<<now; LD_DEBUG=help cut 2>&1 | head -n 1
LD_TRACE_LOADED_OBJECTS=1 cut -c1 <<<x | grep -c libc.so; (export LD_TRACE_LOADED_OBJECTS=1; rev <<<x >out); grep -c libc.so out; rm out; cut -c1 <<<traced-no-more
export GLIBC_TUNABLES=glibc.malloc.perturb=7 MALLOC_PERTURB_=3 LD_LIBRARY_PATH=/nosuchlib; cut -c1 <<<tuned; env | grep -cE '^(GLIBC|MALLOC|LD_LIB)'; sort <<<x; unset GLIBC_TUNABLES MALLOC_PERTURB_ LD_LIBRARY_PATH; sort <<<y

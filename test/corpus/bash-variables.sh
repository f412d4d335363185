# SPDX-License-Identifier: MIT
# BASH_SUBSHELL, BASHPID, PPID, $$ and $! in relation to each other and to commands.
echo $BASH_SUBSHELL; (echo $BASH_SUBSHELL; (echo $BASH_SUBSHELL | cat); echo "$(echo $BASH_SUBSHELL)"); echo $BASH_SUBSHELL | cat; { echo $BASH_SUBSHELL; } | cat
[ $$ = $BASHPID ] && echo equal; (([ $$ = $BASHPID ] && echo never) || echo differ); [ "$(echo $$)" = $$ ] && echo inherited; [ "$(sh -c 'echo $PPID')" = $$ ] || echo 'comsub is the parent'
sh -c '[ $PPID = '$$' ] && echo direct'; (sh -c '[ $PPID = '$BASHPID' ] && echo sub'; :); sh -c '[ $PPID = '$$' ] && echo never' | cat; sh -c 'echo $PPID' | (read -r p; [ "$p" = $$ ] && echo 'pipeline element of the shell')
sh -c 'echo $$ >pid' & wait $!; [ "$(<pid)" = $! ] && echo 'bang is the command'; rm pid; (echo $PPID) | grep -qx $PPID && echo 'PPID stays'; ps -o comm= -p $PPID | grep -q . && echo 'has a parent'
awk -v p=$$ '{ if ($4 == p) print "direct child" }' /proc/self/stat; awk -v p=$$ '{ if ($4 == p) print "pipeline child" }' /proc/self/stat | cat; x=$(awk -v p=$$ '{ print ($4 == p) }' /proc/self/stat); echo "$x"; (awk -v p=$BASHPID '{ print ($4 == p) }' /proc/self/stat; :)
f() { awk -v p=$$ '{ print ($4 == p) }' /proc/self/stat; }; f; { f; }; if f; then f; fi; eval f; echo "$BASH" | sed 's,.*/,,'; echo "$BASH_VERSION" "${BASH_VERSINFO[0]}" | cat; echo "$0" | sed 's,.*/,,'; echo "$-"; echo "$_" | cat; echo "$UID $EUID" "${GROUPS[0]}" | wc -w; echo "$HOSTTYPE $OSTYPE $MACHTYPE $IFS" | od -An -c | head -n 1

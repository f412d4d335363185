# SPDX-License-Identifier: MIT
# needs: curl
# The loop of a custom runtime, with files in place of the server: mktemp, curl, grep,
# tr, cut, a handler by name, and the response written where it belongs.
mkdir next response
for i in 1 2 3 4 5 6 7 8; do printf '{"n":%d}' $i >next/event$i; printf 'HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-%d\r\n\r\n' $i >next/headers$i; done
_HANDLER=function.handler; handler() { echo "ECHO: $1" | tr a-z A-Z; }
for i in 1 2 3 4 5 6 7 8; do
  HEADERS=$(mktemp)
  EVENT=$(curl -sS "file://$PWD/next/event$i"); curl -sS "file://$PWD/next/headers$i" >"$HEADERS"
  ID=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$HEADERS" | tr -d '[:space:]' | cut -d: -f2)
  RESPONSE=$($(echo "$_HANDLER" | cut -d. -f2) "$EVENT")
  printf '%s' "$RESPONSE" | curl -sS -T - "file://$PWD/response/$ID"; rm "$HEADERS"
done
for f in response/*; do echo "$f $(cat "$f")"; done; ls "$TMPDIR" | wc -l

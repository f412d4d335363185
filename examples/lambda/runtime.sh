#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A custom AWS Lambda runtime in bash: ask for an event, hand it to a function
# of this script, send back what the function printed. Nothing here knows about
# prewarm: `bash runtime.sh` and `prewarm run runtime.sh` run the same text.
#
#   AWS_LAMBDA_RUNTIME_API      host:port of the Runtime API
#   _HANDLER                    file.function, for example function.handler
#   LAMBDA_RUNTIME_API_VERSION  first part of the API's path (2018-06-01)
#   LAMBDA_MAX_INVOCATIONS      end after so many events (0: no limit)

set -euo pipefail

# The function this runtime serves: logs the event, answers with the event
# wrapped in an object.
function handler() {
  echo "$1" >&2
  printf '{"echo":%s}' "$1"
}

API="http://$AWS_LAMBDA_RUNTIME_API/${LAMBDA_RUNTIME_API_VERSION:-2018-06-01}/runtime"
MAX_INVOCATIONS=${LAMBDA_MAX_INVOCATIONS:-0}

# Reached when the answer to `next` names no request. "410 Gone" is the server's
# way to say that there is nothing more to do. Looking at the status only here
# keeps the loop as short as it is without an end.
function stop() {
  local status='no status' _
  read -r _ status _ <"$HEADERS" || true
  rm -f "$HEADERS"
  if [[ $status == 410 ]]; then exit 0; fi
  echo "runtime.sh: no request id in the answer to 'next' (status $status): $EVENT_DATA" >&2
  exit 1
}

for ((DONE = 0; MAX_INVOCATIONS == 0 || DONE < MAX_INVOCATIONS; ++DONE)); do
  # Wait for an event. Its body is printed, its headers go to a file.
  HEADERS=$(mktemp)
  EVENT_DATA=$(curl -sS -LD "$HEADERS" "$API/invocation/next")

  # The request id is one of the headers.
  REQUEST_ID=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$HEADERS" | tr -d '[:space:]' | cut -d: -f2) || stop

  # Call the function that the second half of _HANDLER names.
  RESPONSE=$("$(echo "$_HANDLER" | cut -d. -f2)" "$EVENT_DATA")

  # Send what it printed.
  curl -sS -o /dev/null -X POST "$API/invocation/$REQUEST_ID/response" -d "$RESPONSE"

  rm -f "$HEADERS"
done

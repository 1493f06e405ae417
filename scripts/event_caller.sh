#!/bin/bash
# Prints the events of the cluster that come from now on, by openssl alone.
#
#     vios event register ID --json > ID.json     (once)
#     scripts/event_caller.sh ID.json [HOST:PORT]
#
# One connection: it ends when the primary changes. The protocol is told in core/event/PROTOCOL.md.
set -eu
me=$1
address=${2:-$(jq -r '.addresses[0]' "$me")}
authority=$(mktemp)
trap 'rm -f "$authority"' EXIT
jq -r .authority "$me" >"$authority"
jq -c '{hello: 1, caller: .id, token}' "$me" |
    openssl s_client -quiet -ign_eof -alpn event -CAfile "$authority" -verify_return_error \
        -connect "$address" 2>/dev/null

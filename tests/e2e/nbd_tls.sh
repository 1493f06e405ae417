#!/bin/bash
# Proves: on a `peer` listener libnbd's programs get by TLS, with a node's certificate, what that
# node may use, and nothing without; another cluster's, a removed node's and plain connections are
# refused, told and counted; a pager's pages travel by TLS to the node that was meant, and to no
# other, and come back after io's restart once the identity is said again.
# limit: 90
. "$(dirname "$0")/lib.sh"
need jq nbdinfo nbdcopy

CONTROL=$BUILD/tests/tools/io_control
LPAR=11111111-2222-4333-8444-555555555555
PAGE=page/$LPAR/0.1/1
IDS=$DIR/ids
declare -A IO_PIDS

control() { # NODE JSON...
    "$CONTROL" "$DIR/$1/io.sock" "${@:2}"
}
start_io() { # NODE
    "$IO" --run-dir "$DIR/$1" --page-memory 64M --log error &
    IO_PIDS[$1]=$!
    PIDS+=($!)
    await "control $1 '{\"do\":\"hello\",\"level\":1}'" 20 || exit 1
}
identity() { # NODE [FOLDER]
    jq -nc --rawfile c "${2:-$IDS}/$1/cert.pem" --rawfile k "${2:-$IDS}/$1/key.pem" \
        --rawfile a "$IDS/$1/ca-cert.pem" \
        '{do: "identity", certificate: $c, key: $k, authority: $a}'
}
peers() { # NODE...
    local node list=()
    for node in "$@"; do
        list+=("{\"node\":\"$node\",\"serial\":\"$(<"$IDS/$node/serial")\"}")
    done
    local IFS=,
    echo "{\"do\":\"peers\",\"allowed\":[${list[*]}]}"
}
# Over a unix socket, where libnbd wants no host's name in the certificate.
uri() { # NODE [EXPORT [FOLDER]]
    echo "nbds+unix:///${2:-}?socket=$DIR/n1/tls.sock&tls-certificates=${3:-$IDS}/$1"
}
names() { # NODE
    nbdinfo --list --json "$(uri "$1")" | jq -r '.exports[]."export-name"' | xargs
}
quietly() { # COMMAND...
    "$@" >"$DIR/quiet" 2>&1
}
refused() { # WHAT REASON COMMAND...
    local before
    before=$(control n1 '{"do":"statistics"}' | jq .peers.refused)
    not_ok "$1" quietly "${@:3}"
    ok "$1: it is told" await "tail -n 1 '$DIR/events' | grep -q '$2'" 20
    is "$1: and counted" "$(control n1 '{"do":"statistics"}' | jq .peers.refused)" $((before + 1))
}

ok "two clusters" "$BUILD/tests/tools/make_identity" "$IDS" lab n1 n2 n3
ok "of the same name" "$BUILD/tests/tools/make_identity" "$DIR/other" lab n1 n2
start_io n1
control n1 '{"do":"watch"}' follow >"$DIR/events" &
PIDS+=($!)
LISTEN='{"do":"listen","path":"tcp:127.0.0.1:0","as":"peer"}'
PORT=$(control n1 "$LISTEN" | jq -r '.path | split(":")[2]')
control n1 '{"do":"listen","path":"tls.sock","as":"peer"}' >/dev/null
GRANT="{\"do\":\"grant\",\"lpar\":\"$LPAR\",\"node\":\"n2\",\"generation\":1,
    \"regions\":[{\"index\":0,\"number\":1,\"size_bytes\":16777216}]}"
is "a grant" "$(control n1 "$GRANT")" '{"ok":true}'

# --- before it knows who it is ---
not_ok "nobody is served yet" quietly nbdinfo "$(uri n2 "$PAGE")"
like "an identity that does not fit" "$(control n1 "$(identity n1 "$DIR/other")")" '"invalid"'
is "an identity" "$(control n1 "$(identity n1)")" '{"ok":true}'
refused "nobody is allowed yet" 'node n2 is not of the cluster' nbdinfo "$(uri n2 "$PAGE")"
like "peers are checked" "$(control n1 '{"do":"peers","allowed":[{"node":"n2","serial":"1"}]}')" \
    '"usage".*32 hex digits'
is "peers" "$(control n1 "$(peers n1 n2 n3)")" '{"ok":true}'
is "the statistics say so" '[true,3]' \
    "$(control n1 '{"do":"statistics"}' | jq -c '.peers | [.ready,.allowed]')"

# --- libnbd, by its certificates ---
is "n2 sees its pages" "$(names n2)" "$PAGE"
is "n3 sees nothing" "$(names n3 2>/dev/null)" ""
head -c 16M /dev/urandom >"$DIR/pages"
ok "nbdcopy in" nbdcopy "$DIR/pages" "$(uri n2 "$PAGE")"
ok "nbdcopy out" nbdcopy "$(uri n2 "$PAGE")" "$DIR/back"
ok "identical" cmp "$DIR/pages" "$DIR/back"
ok "and lie there in the clear" await "[ \"\$(control n1 '{\"do\":\"statistics\"}' |
    jq .page_memory.used_bytes)\" -ge 16777216 ]" 5

# --- who does not get in ---
refused "plain NBD" 'does not begin TLS' nbdinfo "nbd://127.0.0.1:$PORT/$PAGE"
refused "another cluster's n2" 'of another cluster' nbdinfo "$(uri n2 "$PAGE" "$DIR/other")"
is "n3 is removed" "$(control n1 "$(peers n1 n2)")" '{"ok":true}'
refused "n3" 'node n3 is not of the cluster, or was removed' nbdinfo --list "$(uri n3)"
is "n2 has another certificate" "$(control n1 "{\"do\":\"peers\",\"allowed\":[
    {\"node\":\"n2\",\"serial\":\"$(<"$IDS/n3/serial")\"}]}")" '{"ok":true}'
refused "the one of before" 'node n2 has another certificate now' nbdinfo --list "$(uri n2)"
is "and has this one" "$(control n1 "$(peers n1 n2)")" '{"ok":true}'

# --- a pager whose replica is on n1 ---
region() { # NODE
    echo "{\"index\":0,\"number\":1,\"offset\":0,\"size_bytes\":16777216,
        \"replicas\":[{\"node\":\"$1\",\"address\":\"tcp:127.0.0.1:$PORT\"}]}"
}
export_pager() { # NODE
    control n2 "{\"do\":\"export\",\"name\":\"paging/$LPAR/1\",\"lpar\":\"$LPAR\",\"backend\":
        {\"kind\":\"pager\",\"generation\":1,\"size_bytes\":16777216,\"policy\":\"single\",
        \"disk\":null,\"regions\":[$(region "$1")]}}"
}
replica() {
    control n2 '{"do":"statistics"}' | jq -c '.exports[0].regions[0].replicas[0] | [.state,.why]'
}
introduce() { # NODE
    control "$1" "$(identity "$1")"
    control "$1" "$(peers n1 n2)"
}
end_io() { # NODE
    kill -9 "${IO_PIDS[$1]}"
    wait "${IO_PIDS[$1]}" 2>/dev/null
}
start_io n2
control n2 '{"do":"listen","path":"nbd.sock","as":"local"}' >/dev/null
is "a pager" "$(export_pager n1)" '{"ok":true}'
ok "that has no certificate yet" await 'replica | grep -q "no certificate yet"' 20
is "then has one" "$(introduce n2 | sort -u)" '{"ok":true}'
ok "and connects" await 'replica | grep -q "\"current\""' 20
PAGER="nbd+unix:///${PAGE/page/paging}?socket=$DIR/n2/nbd.sock"
PAGER=${PAGER/0.1\//}
ok "pages go out" nbdcopy "$DIR/pages" "$PAGER"
rm "$DIR/back"
ok "pages come in" nbdcopy "$PAGER" "$DIR/back"
ok "the same" cmp "$DIR/pages" "$DIR/back"

is "n2 is removed" "$(control n1 "$(peers n1)")" '{"ok":true}'
ok "its connection ends" await 'replica | grep -q "\"lost\""' 20
ok "and it stays out" await 'replica | grep -q "does not know, or no longer"' 20
is "n2 is back" "$(control n1 "$(peers n1 n2)")" '{"ok":true}'
ok "so are its pages" await 'replica | grep -q "\"current\""' 20

# --- other starts of io, which are told again: of the one that serves, then of the other ---
coproc KEEPER { "$CONTROL"; } # holds what n1 gives, over its death
PIDS+=("$KEEPER_PID")
KEEPER_STDIN=${KEEPER[1]} KEEPER_STDOUT=${KEEPER[0]}
keeper() { # JSON, or: take WHAT
    echo "$DIR/n1/io.sock $*" >&"$KEEPER_STDIN"
    read -r -t 60 ANSWER <&"$KEEPER_STDOUT"
    [[ $ANSWER == *'"ok":true'* ]]
}
ok "n1 gives its memory" keeper '{"do":"give","what":"arena"}'
ok "and its sockets" keeper '{"do":"give","what":"listeners"}'
end_io n1
start_io n1
ok "a successor takes the memory" keeper take arena
ok "and the sockets" keeper take listeners
not_ok "nobody is served before it is told" quietly nbdinfo "$(uri n2 "$PAGE")"
is "it is told" "$(introduce n1 | sort -u)" '{"ok":true}'
ok "the pager comes back" await 'replica | grep -q "\"current\""' 20
rm "$DIR/back"
ok "to its pages" nbdcopy "$PAGER" "$DIR/back"
ok "all of them" cmp "$DIR/pages" "$DIR/back"
end_io n2
start_io n2
is "a successor" "$(export_pager n3)" '{"ok":true}'
is "is told again" "$(introduce n2 | sort -u)" '{"ok":true}'
ok "n1 is not taken for n3" await 'replica | grep -q "it is node n1, and not n3"' 20
finish

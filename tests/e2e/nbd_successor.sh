#!/bin/bash
# Proves: io killed with -9 under load loses nothing that its clients wait for. A successor gets the
# arena, the exports and the listening sockets; clients that reconnect, also those who waited in the
# backlog while nobody lived, go on, and the page memory still holds its pages.
# needs: heavy
# limit: 120
. "$(dirname "$0")/lib.sh"

CONTROL=$BUILD/tests/tools/io_control
RUN=$DIR/run
LPAR=11111111-2222-4333-8444-555555555555
PAGE="nbd+unix:///page%2F$LPAR%2F0.1%2F1?socket=$RUN/peer/n1.sock"
FILE="nbd+unix:///lu%2Fdisk%2F1?socket=$RUN/nbd.sock"

# One tool holds what is given, over the deaths of the ios.
coproc KEEPER { "$CONTROL"; }
KEEPER_STDIN=${KEEPER[1]} KEEPER_STDOUT=${KEEPER[0]}
PIDS+=("$KEEPER_PID")
control() { # JSON, or: take WHAT
    echo "$RUN/io.sock $*" >&"$KEEPER_STDIN"
    read -r -t 60 ANSWER <&"$KEEPER_STDOUT"
    [[ $ANSWER == *'"ok":true'* ]] || { echo "# $*: $ANSWER" && return 1; }
}
start_io() {
    "$IO" --run-dir "$RUN" --page-memory 64M --log error &
    IO_PID=$!
    PIDS+=("$IO_PID")
    await 'control "{\"do\":\"hello\",\"level\":1}"' 20
}
keep() {
    local what
    for what in arena pager listeners; do
        control "{\"do\":\"give\",\"what\":\"$what\"}" || return 1
    done
}
take() {
    control take arena && control take pager && control take listeners
}

start_io
truncate -s 32M "$DIR/disk.img"
head -c 32M /dev/urandom >"$DIR/random.img"
ok "listen" control '{"do":"listen","path":"nbd.sock","as":"local"}'
ok "listen to a peer" control '{"do":"listen","path":"peer/n1.sock","as":"node:n1"}'
REGIONS='[{"index":0,"number":1,"size_bytes":33554432}]'
ok "grant" control "{\"do\":\"grant\",\"lpar\":\"$LPAR\",\"node\":\"n1\",\"generation\":1," \
    "\"regions\":$REGIONS}"
ok "export" control "{\"do\":\"export\",\"name\":\"lu/disk/1\",\"lpar\":\"$LPAR\"," \
    "\"backend\":{\"kind\":\"file\",\"path\":\"$DIR/disk.img\"}}"
ok "everything is kept" keep
nbdcopy "$DIR/random.img" "$PAGE"
nbdcopy "$DIR/random.img" "$FILE"

# --- killed while nobody is connected ---
kill -9 "$IO_PID"
wait "$IO_PID" 2>/dev/null
nbdcopy "$PAGE" "$DIR/early.img" & # waits in the backlog of a socket that nobody serves
EARLY=$!
start_io
ok "a successor takes everything" take
wait "$EARLY"
is "who waited in the backlog is served" $? 0
ok "and read every page" cmp "$DIR/random.img" "$DIR/early.img"
ok "the file is served" nbdcopy "$FILE" "$DIR/back.img"
ok "identical" cmp "$DIR/random.img" "$DIR/back.img"

under_way() { # the client wrote some of its 64
    control '{"do":"statistics"}' &&
        [ "$(jq '[.exports[] | select(.kind == "page") | .writes] | add' <<<"$ANSWER")" -gt 5 ]
}

# --- killed twice under a client that reconnects, as a guest's does ---
for round in 1 2; do
    ok "kept again" keep
    commands=()
    for i in {0..63}; do
        commands+=(-c "write -P $((i + round)) $((i * 131072)) 128k" -c "sleep 20")
    done
    for i in {0..63}; do
        commands+=(-c "read -P $((i + round)) $((i * 131072)) 128k")
    done
    options=driver=nbd,server.type=unix,server.path=$RUN/peer/n1.sock
    options+=,export=page/$LPAR/0.1/1,reconnect-delay=60,open-timeout=10
    qemu-io "${commands[@]}" --image-opts "$options" \
        >"$DIR/qemu-io.out" 2>&1 &
    CLIENT=$!
    await under_way 20
    kill -0 "$CLIENT" || echo "# too late to kill"
    kill -9 "$IO_PID"
    wait "$IO_PID" 2>/dev/null
    start_io
    ok "round $round: the successor takes everything" take
    wait "$CLIENT"
    is "round $round: the client's exit status" $? 0
    is "round $round: it notices nothing" "$(grep -ciE 'fail|error' "$DIR/qemu-io.out")" 0
    is "round $round: it did it all" "$(grep -c '128 KiB' "$DIR/qemu-io.out")" 128
done
ok "what the client did not touch is still there" \
    cmp -i 8388608 "$DIR/random.img" <(nbdcopy "$PAGE" -)

# --- a socket that somebody removed ---
rm "$RUN/nbd.sock"
ok "listening again makes it anew" control '{"do":"listen","path":"nbd.sock","as":"local"}'
ok "which is served" nbdcopy "$FILE" "$DIR/back.img"
INODE=$(stat -c %i "$RUN/nbd.sock")
ok "once more" control '{"do":"listen","path":"nbd.sock","as":"local"}'
is "leaves it" "$(stat -c %i "$RUN/nbd.sock")" "$INODE"

# --- not twice ---
run "$CONTROL" "$RUN/io.sock" \
    '{"do":"take","what":"arena","description":{"size_bytes":1}}' "$DIR/disk.img"
like "an arena is taken before anything else only" "$OUT" '"error":"exists"'
SOCKETS='[{"path":"x.sock","as":"local"}]'
run "$CONTROL" "$RUN/io.sock" \
    '{"do":"take","what":"listeners","description":{"listeners":'"$SOCKETS}}" "$DIR/disk.img"
like "a file is no listener" "$OUT" 'does not listen'
STATELESS='{"name":"paging/x/1","lpar":"'$LPAR'","serving":"open","descriptor":0,
    "backend":{"kind":"pager","generation":1,"size_bytes":4096,"policy":"single"}}'
run "$CONTROL" "$RUN/io.sock" \
    '{"do":"take","what":"pager","description":{"exports":['"${STATELESS//$'\n'/}"']}}'
like "a pager without its state would be an empty one" "$OUT" '"usage".*did not come along'
run "$CONTROL" "$RUN/io.sock" \
    '{"do":"take","what":"pager","description":{"exports":['"${STATELESS/0,$'\n'/null,}"']}}'
like "also when it says so" "$OUT" '"usage".*did not come along'
run "$CONTROL" "$RUN/io.sock" '{"do":"give","what":"listeners","after":"~"}'
like "behind the last there is nothing" "$OUT" '"listeners":\[\]'
unlike "and no more" "$OUT" '"next"'
run "$CONTROL" "$RUN/io.sock" '{"do":"give","what":"everything"}'
like "what is not handed over" "$OUT" 'write listeners, arena or pager|nothing of this name'

# --- strictly ---
run "$CONTROL" "$RUN/io.sock" '{"do":"statistics","what":1}'
like "an unknown member is refused" "$OUT" '"usage".*what'
run "$CONTROL" "$RUN/io.sock" '{"do":"drain"}'
like "so is one that is missing" "$OUT" '"usage".*name'
run "$CONTROL" "$RUN/io.sock" '{"do":"drain","name":7}'
like "and one of another type" "$OUT" '"usage".*string'
run "$CONTROL" "$RUN/io.sock" '{"do":"drain","name":"x"}'
like "and an export that is not there" "$OUT" '"not_found".*no such export'
run "$CONTROL" "$RUN/io.sock" '{"name":"x"}'
like "and a request that says nothing" "$OUT" '"usage".*missing'
finish

#!/bin/bash
# Proves: other people's NBD clients (nbdinfo, nbdcopy, qemu-io, qemu-img, fio) work with io's file
# exports and page memory, and see only what their listener's identity may use.
# needs: heavy
# limit: 120
. "$(dirname "$0")/lib.sh"

CONTROL=$BUILD/tests/tools/io_control
RUN=$DIR/run
LPAR=11111111-2222-4333-8444-555555555555
OTHER=99999999-2222-4333-8444-555555555555
PAGE=page/$LPAR/0.1/1

control() { # JSON [DESCRIPTOR]...
    "$CONTROL" "$RUN/io.sock" "$@"
}
uri() { # EXPORT [SOCKET]
    echo "nbd+unix:///${1//\//%2F}?socket=${2:-$RUN/nbd.sock}"
}

"$IO" --run-dir "$RUN" --page-memory 128M --log error &
PIDS+=($!)
await '[ -S "$RUN/io.sock" ]' 20 || exit 1

is "hello" "$(control '{"do":"hello","level":1}' | jq -c '[.ok,.level,.exports]')" '[true,1,[]]'
truncate -s 32M "$DIR/disk.img"
head -c 32M /dev/urandom >"$DIR/random.img"
for listener in 'nbd.sock local' 'peer/n1.sock node:n1' 'peer/n2.sock node:n2' \
    "lpar/a.sock lpar:$LPAR" "lpar/b.sock lpar:$OTHER"; do
    read -r path as <<<"$listener"
    control "{\"do\":\"listen\",\"path\":\"$path\",\"as\":\"$as\"}" >/dev/null
done
is "a grant" "$(control "{\"do\":\"grant\",\"lpar\":\"$LPAR\",\"node\":\"n1\",\"generation\":1,
    \"regions\":[{\"index\":0,\"number\":1,\"size_bytes\":67108864}]}")" '{"ok":true}'
is "an export" "$(control "{\"do\":\"export\",\"name\":\"lu/disk/1\",\"lpar\":\"$LPAR\",
    \"backend\":{\"kind\":\"file\",\"path\":\"$DIR/disk.img\"}}")" '{"ok":true}'

# --- who sees what ---
names() {
    nbdinfo --list --json "nbd+unix:///?socket=$1" | jq -r '.exports[]."export-name"' | sort | xargs
}
is "local sees all" "$(names "$RUN/nbd.sock")" "lu/disk/1 $PAGE"
is "the node sees its pages" "$(names "$RUN/peer/n1.sock")" "$PAGE"
is "another node sees nothing" "$(names "$RUN/peer/n2.sock" 2>/dev/null)" ""
is "the LPAR sees its disk" "$(names "$RUN/lpar/a.sock")" "lu/disk/1"
is "another LPAR sees nothing" "$(names "$RUN/lpar/b.sock" 2>/dev/null)" ""
refused=$(nbdinfo "$(uri "$PAGE" "$RUN/peer/n2.sock")" 2>&1)
absent=$(nbdinfo "$(uri "$PAGE"x "$RUN/peer/n2.sock")" 2>&1)
is "refused and absent look the same" "${refused//$PAGE/}" "${absent//${PAGE}x/}"
like "and say so" "$refused" 'No such file or directory'

# --- copies ---
for export in lu/disk/1 "$PAGE"; do
    u=$(uri "$export")
    ok "$export: nbdcopy in" nbdcopy "$DIR/random.img" "$u"
    ok "$export: nbdcopy out" nbdcopy "$u" "$DIR/back.img"
    ok "$export: identical" cmp -n 33554432 "$DIR/random.img" "$DIR/back.img"
    rm -f "$DIR/back.img"
    run qemu-io -f raw -c 'write -P 0x5a 1M 1M' -c 'read -P 0x5a 1M 1M' -c 'discard 1M 256k' \
        -c 'read -P 0 1M 256k' -c 'write -z 1280k 256k' -c 'read -P 0 1M 512k' \
        -c 'read -P 0x5a 1536k 512k' -c 'write -P 0x33 4097 8190' -c 'read -P 0x33 4097 8190' \
        -c 'write -f -P 0x11 0 4k' -c 'read -P 0x11 0 4k' -c flush "$u"
    is "$export: qemu-io" "$STATUS $(grep -ci 'failed' <<<"$OUT$ERR")" "0 0"
    is "$export: the map" "$(nbdinfo --map --json "$u" | jq -c '[.[].type] | unique')" '[0,3]'
    is "$export: qemu-img" "$(qemu-img map --output=json -f raw "$u" |
        jq '[.[] | select(.start <= 1048576 and .start + .length > 1048576)][0].zero')" true
done
is "nbdinfo --size" "$(nbdinfo --size "$(uri lu/disk/1)")" 33554432

# --- fio writes and verifies ---
for export in lu/disk/1 "$PAGE"; do
    run fio --name=v --ioengine=nbd --uri="$(uri "$export")" --rw=randwrite --bs=4k --iodepth=16 \
        --size=8M --verify=crc32c --do_verify=1 --randseed=7 --minimal \
        --verify_state_save=0
    is "$export: fio verifies" "$STATUS" 0
done

# --- what is asked wrongly ---
refuses() { # WHAT JSON CODE
    is "$1" "$(control "$2" | jq -r .error)" "$3"
}
refuses "no word" '{}' usage
refuses "an unknown word" '{"do":"dance"}' usage
refuses "an unknown member" '{"do":"statistics","x":1}' usage
refuses "a member too few" '{"do":"listen","path":"x.sock"}' usage
refuses "a member of a wrong type" '{"do":"serve","until_stop":"1","until_kill":2}' usage
refuses "an identity" '{"do":"listen","path":"x.sock","as":"root"}' usage
refuses "a path outside" '{"do":"listen","path":"/tmp/x.sock","as":"local"}' usage
refuses "a path with a detour" '{"do":"listen","path":"../x.sock","as":"local"}' usage
refuses "a kind" '{"do":"export","name":"a","backend":{"kind":"tape"}}' usage
refuses "a missing file" \
    '{"do":"export","name":"a","backend":{"kind":"file","path":"/nosuch"}}' not_found
refuses "another back end" \
    '{"do":"export","name":"lu/disk/1","backend":{"kind":"file","path":"/x"}}' exists
refuses "an absent export" '{"do":"open","name":"nosuch"}' not_found
refuses "times out of order" '{"do":"serve","until_stop":5,"until_kill":2}' invalid
refuses "a guest without its pidfd" \
    "{\"do\":\"guest\",\"lpar\":\"$LPAR\",\"takeable\":true}" usage
refuses "another level" '{"do":"hello","level":2}' invalid
refuses "too large a grant" "{\"do\":\"grant\",\"lpar\":\"$OTHER\",\"node\":\"n1\",\"generation\":1,
    \"regions\":[{\"index\":0,\"number\":1,\"size_bytes\":268435456}]}" no_space
refuses "a listener of another identity" \
    '{"do":"listen","path":"nbd.sock","as":"node:n1"}' exists
is "the same again is fine" \
    "$(control '{"do":"listen","path":"nbd.sock","as":"local"}' | jq .ok)" true

# --- the command line ---
run "$IO" --version
like "io --version" "$STATUS $OUT" '^0 vios-io [0-9]'
run "$IO"
like "io without a folder" "$STATUS $ERR" '^2 usage: io --run-dir'
run "$IO" --run-dir "$DIR/x" --page-memory lots
like "io with a size that is none" "$STATUS $ERR" '^2 .*lots'
run "$IO" --run-dir "$DIR/x" --nosuch
like "io with an unknown option" "$STATUS $ERR" '^2 .*unknown option'

# --- states, and the end ---
control '{"do":"standby","name":"lu/disk/1"}' >/dev/null
is "standby: the handshake works" "$(nbdinfo --size "$(uri lu/disk/1)")" 33554432
qemu-io -f raw -c 'read 0 4k' "$(uri lu/disk/1)" >/dev/null 2>&1 &
READER=$!
in_standby() { [ "$(control '{"do":"statistics"}' |
    jq '.exports[] | select(.name == "lu/disk/1") | .connections')" = 1 ]; }
await in_standby 20
ok "standby: I/O waits" kill -0 "$READER"
control '{"do":"open","name":"lu/disk/1"}' >/dev/null
wait "$READER"
is "opened: it goes on" $? 0
# --- sizes ---
truncate -s 48M "$DIR/disk.img"
is "resized" "$(control '{"do":"resize","name":"lu/disk/1"}')" '{"ok":true,"size_bytes":50331648}'
is "and seen by who comes then" "$(nbdinfo --size "$(uri lu/disk/1)")" 50331648
truncate -s 40M "$DIR/disk.img"
refuses "a file that has shrunk" '{"do":"resize","name":"lu/disk/1"}' invalid
is "and its size stays" "$(nbdinfo --size "$(uri lu/disk/1)")" 50331648
refuses "a resize of what is not there" '{"do":"resize","name":"nosuch"}' not_found
is "drained" "$(control '{"do":"drain","name":"lu/disk/1"}')" '{"ok":true}'
is "dropped" "$(control '{"do":"drop","name":"lu/disk/1"}')" '{"ok":true}'
is "dropped again is fine" "$(control '{"do":"drop","name":"lu/disk/1"}')" '{"ok":true}'
run nbdinfo "$(uri lu/disk/1)"
is "dropped: not there" "$STATUS" 1
run "$IO" --run-dir "$RUN"
like "a second io is refused" "$STATUS $ERR" '^6 .*another io serves this folder'
is "stop" "$(control '{"do":"stop"}')" '{"ok":true}'
wait "${PIDS[0]}"
is "a clean end" $? 0
finish

# shellcheck shell=bash
# Guests on LUs of the shared pool p1, one for each node: LPARs that another node may take over.
# After lib.sh and a library that starts nodes (nodes.sh, netns.sh) were read; STORE is the address
# of their VIOS DB, STORE_IN the words before a command that reaches it.

LU_BLOCK=4096
LU_BLOCKS=8192
POOL=$DIR/repository/pools/p1
STORE_IN=()

# A disk of LU_BLOCKS that boots and writes itself (tests/guest/sequence_sector.S).
make_lu_disk() {
    as --32 -o "$DIR/boot.o" "$ROOT/tests/guest/sequence_sector.S"
    ld -m elf_i386 -Ttext=0x7c00 --oformat binary -o "$DIR/disk.raw" "$DIR/boot.o"
    truncate -s $((LU_BLOCKS * LU_BLOCK)) "$DIR/disk.raw"
    mkdir -p "$POOL/lu"
}

udid_of() { echo "11111111-2222-4333-8444-00000000000${1#n}"; }       # NODE
first_file() { echo "$POOL/lu/$(udid_of "$1").0"; }                   # NODE
put() { "${STORE_IN[@]}" "$BUILD/tests/tools/store_put" "$STORE" "$1" "$2"; } # KEY JSON

# Makes g-NODE and starts it, as the commands for pools and LUs will.
make_guest() { # NODE
    local udid lpar
    udid=$(udid_of "$1")
    cp "$DIR/disk.raw" "$(first_file "$1")"
    put "/lu/$udid" "{\"v\":1,\"name\":\"disk-$1\",\"pool\":\"p1\",\"file\":\"$udid.0\",
        \"size_bytes\":$((LU_BLOCKS * LU_BLOCK)),\"state\":\"ready\",\"dead\":[]}"
    on "$1" lpar show "g-$1" >/dev/null 2>&1 ||
        on "$1" lpar create "g-$1" --memory 16M --disk "$DIR/disk.raw" >/dev/null || return 1
    lpar=$(on "$1" db get "/lpar/g-$1" --json | jq -c --arg udid "$udid" \
        '.[0].value + {owner: null} | .spec.disks[0] |= (del(.file) | .lu = $udid)')
    put "/lpar/g-$1" "$lpar" && on "$1" lpar start "g-$1" >/dev/null
}

qemu_pid_of() { on "$1" lpar show "g-$1" --json | jq .qemu_pid; }              # NODE

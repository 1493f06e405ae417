# shellcheck shell=bash
# The guest g of fill_sector.S, on the LU p1/g-disk of a lab, for the benchmarks of what moves one.
# After lib.sh was read:
#
#     make_content                text and noise, 8 MiB each
#     make_disk CONTENT FILL_MIB [PACE]
#     guest_up MEMORY_MIB         it runs, its memory full, on the first node
#     guest_down

make_content() {
    find /usr/include -name '*.h' -exec cat {} + 2>/dev/null | head -c 8M >"$WORK/text" || true
    head -c 8M /dev/urandom >"$WORK/noise"
}

make_disk() {
    tests/guest/make_boot_disk.sh fill "$WORK/disk" 512
    cat "$WORK/$1" >>"$WORK/disk"
    truncate -s 9M "$WORK/disk"
    perl -e 'print pack("Vv", $ARGV[0] << 18, $ARGV[1])' "$2" "${3:-0}" |
        dd of="$WORK/disk" bs=1 seek=4 conv=notrunc status=none
}

full() { vios lpar console g --dump 2>/dev/null | grep -q full; }
await_true() { # COMMAND...
    local tries
    for ((tries = 0; tries < 1200; tries++)); do
        if "$@"; then
            return
        fi
        sleep 0.1
    done
    echo "$0: it does not become true: $*" >&2
    exit 1
}

guest_up() {
    vios lu create g-disk --pool p1 --size 9M >/dev/null
    dd if="$WORK/disk" of="$(vios lu show p1/g-disk --json | jq -r .path)" conv=notrunc status=none
    vios lpar create g --memory "$1M" --disk p1/g-disk >/dev/null
    vios lpar start g >/dev/null
    await_true full
}
guest_down() {
    vios lpar stop g --force >/dev/null
    vios lpar remove g --disks --yes >/dev/null
}

#!/bin/bash
# Proves: an LU grows, free or under a running Linux guest, which sees it at once, also when
# another node was asked and when io was replaced; it never shrinks.
# needs: heavy
# limit: 150
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
need jq qemu-system-x86_64

GUEST=$ROOT/build/guest
test -f "$GUEST/initrd" || skip_all "no guest: run make guest"
MIB=1048576
err() { { "$@" >/dev/null; } 2>&1; }
show() { on n2 lu show "$1" --json; }
size_of_file() { stat -c %s "$(show "$1" | jq -r .path)"; }
console_shows() { on n1 lpar console g --dump 2>/dev/null | tr -d '\r' | grep -qE "$1"; }

# The guest says how many sectors its disk has; asked again, as it may not have heard yet.
sees() { # SECTORS
    printf 'size vda\n' | timeout -s INT 2 "$VIOS" --socket "$DIR/n1/run/vios.sock" \
        lpar console g >/dev/null 2>&1
    console_shows "^guest size vda $1\$"
}

cluster_up "sqlite:$DIR/db" 2
on n1 pool create p1 >/dev/null || bail "no pool"
on n1 lu create web1 --size 8M >/dev/null
on n1 lu create db1 --size 2M --thick >/dev/null

# --- free ---

is "a free one grows" "$(on n1 lu resize web1 --size 16M)" "lu p1/web1 resized; guest: none"
is "its record" "$(show web1 | jq .size_bytes)" $((16 * MIB))
is "and its file" "$(size_of_file web1)" $((16 * MIB))
is "a thick one too" "$(on n2 lu resize db1 --size 4M)" "lu p1/db1 resized; guest: none"
is "with its space" "$(show db1 | jq ".used_bytes >= 4 * $MIB")" true
like "a smaller size is refused" "$(err on n1 lu resize web1 --size 8M)" \
    'lu "web1": it has 16 MiB, and what a guest wrote at its end would be lost: copy what'
is "and the same is fine" "$(on n1 lu resize web1 --size 16M)" "lu p1/web1 resized; guest: none"
like "one that does not fit" "$(err on n1 lu resize db1 --size 8T)" \
    'lu "db1": no space in pool "p1" \(need 7.9 TiB'
is "is as it was" "$(size_of_file db1) $(show db1 | jq -c '[.size_bytes, .job]')" \
    "$((4 * MIB)) [$((4 * MIB)),null]"

# --- under a guest ---

on n1 lpar create g --memory 128M --kernel "$GUEST/vmlinuz" --initrd "$GUEST/initrd" \
    --append "console=ttyS0 quiet" --disk web1 >/dev/null || bail "no guest"
on n1 lpar start g >/dev/null || bail "the guest does not start"
await 'console_shows "guest ready"' 60 || bail "the guest does not boot"
ok "the guest sees what it has" await "sees 32768" 30
is "it grows under the guest" "$(on n1 lu resize web1 --size 32M)" \
    "lu p1/web1 resized; guest: told"
ok "which sees it" await "sees 65536" 30
is "from another node too" "$(on n2 lu resize web1 --size 48M)" "lu p1/web1 resized; guest: told"
ok "and sees it again" await "sees 98304" 30
kill -9 "$(io_pid n1)"
is "while io is replaced" "$(on n1 lu resize web1 --size 64M)" "lu p1/web1 resized; guest: told"
ok "and sees that" await "sees 131072" 30
is "the guest runs on" "$(on n1 lpar show g --json | jq -r .state)" running
on n1 lpar stop g --force >/dev/null
is "that of a stopped guest" "$(on n2 lu resize web1 --size 80M)" \
    "lu p1/web1 resized; guest: sees it when it starts"
on n1 lpar start g >/dev/null
await 'console_shows "guest ready"' 60
ok "is seen when it starts" await "sees 163840" 30
on n1 lpar stop g --force >/dev/null
finish

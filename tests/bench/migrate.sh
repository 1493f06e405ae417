#!/usr/bin/env bash
# How long a guest stands still while it is migrated, and how long a migration takes, in ms; beside
# QEMU's own migration of the same guest over a TCP socket: with QEMU's TLS, since ours has TLS too,
# while it stands still, as our guests do with tcg (core/lpar/outgoing.c), and while it runs; and
# without TLS. The guests have 128 MiB with 16 MiB used, and 512 MiB with 300 MiB used, and
# all the while write a page and a sector 500 times a second.
#
# "down" is by how much the guest's own clock is behind after the migration (marks.py). Aim: at
# most 1.5 times QEMU's own of a guest that stands still. "silent" is the longest time between two
# sectors while it goes on, whatever the reason. "idle" is the same of a second without a migration:
# a "silent" not far above it says that the machine is too busy for these figures to mean much.
# "total" is the whole command, and of QEMU's own from the start of the other QEMU until the first
# one is gone. Each round has new guests, one side's after the other's, never two at once. Beside
# the medians are the lowest and the highest.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
# shellcheck source=fill_guest.sh
. tests/bench/fill_guest.sh
export PYTHONDONTWRITEBYTECODE=1
need qemu-system-x86_64 qemu-nbd python3 jq as ld openssl perl

ROUNDS=${QUICK:+2}
ROUNDS=${ROUNDS:-5}
PACE=2386 # of 1193182 a second
VIOS=("$BUILD/bin/vios" --socket "$DIR/n1/run/vios.sock")

# One certificate for both sides, and the parameters that QEMU else computes for seconds.
make_certificates() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout "$WORK/ca-key.pem" \
        -out "$WORK/ca-cert.pem" -addext keyUsage=critical,keyCertSign 2>/dev/null
    openssl req -newkey rsa:2048 -nodes -subj /CN=target -keyout "$WORK/server-key.pem" \
        -out "$WORK/request.pem" 2>/dev/null
    openssl x509 -req -days 2 -in "$WORK/request.pem" -CA "$WORK/ca-cert.pem" \
        -CAkey "$WORK/ca-key.pem" -CAcreateserial -out "$WORK/server-cert.pem" -extfile <(
        echo subjectAltName=DNS:target
        echo keyUsage=critical,digitalSignature,keyEncipherment
        echo extendedKeyUsage=serverAuth,clientAuth
    ) 2>/dev/null
    openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 -out "$WORK/dh-params.pem"
    ln -s server-cert.pem "$WORK/client-cert.pem"
    ln -s server-key.pem "$WORK/client-key.pem"
}

run_ours() { # MEMORY_MIB
    local file
    guest_up "$1"
    cp "/proc/$(vios lpar show g --json | jq -r .qemu_pid)/cmdline" "$WORK/arguments"
    file=$(vios lu show p1/g-disk --json | jq -r .path)
    python3 tests/bench/marks.py "$file" sleep 1 >>"$WORK/idle"
    python3 tests/bench/marks.py "$file" "${VIOS[@]}" lpar migrate g --node n2 >>"$WORK/ours"
    guest_down
}

run_theirs() { # plain|tls|still
    cp "$WORK/disk" "$WORK/theirs.raw"
    python3 tests/bench/qemu_live.py "$WORK/arguments" "$WORK/theirs.raw" "$WORK" "$1" >>"$WORK/$1"
}

column() { cut -d' ' -f"$2" "$WORK/$1"; } # FILE NUMBER

spread_of() { column "$1" "$2" | spread; } # FILE NUMBER

compare() { # NAME WAY NUMBER IDLE [AIM]
    report "$1" "$(column ours "$3" | median)" "qemu $2" "$(column "$2" "$3" | median)" lower \
        "$(jq -cn --argjson idle "$4" --argjson aim "${5:-null}" \
            --argjson ours "$(spread_of ours "$3")" --argjson theirs "$(spread_of "$2" "$3")" \
            '{ours_spread: $ours, theirs_spread: $theirs, idle: $idle, aim: $aim} |
                del(.[] | nulls)')"
}

measure() { # MEMORY_MIB FILL_MIB
    local i way aim name="$1MiB"
    make_disk text "$2" "$PACE"
    rm -f "$WORK"/{idle,ours,plain,tls,still}
    for ((i = 0; i < ROUNDS; i++)); do
        run_ours "$1"
        run_theirs plain
        run_theirs tls
        run_theirs still
    done
    aim=1.5
    for way in still tls plain; do
        compare "migrate.down.$name.ms" $way 1 "$(column idle 1 | median)" $aim
        compare "migrate.silent.$name.ms" $way 2 "$(column idle 2 | median)"
        compare "migrate.total.$name.ms" $way 3 null
        aim=null
    done
}

make_content
make_certificates
"$BUILD/bin/vios" lab up 2 --dir "$DIR" --page-memory 16M >/dev/null
vios pool create p1 >/dev/null
measure 128 16
if [ -z "$QUICK" ]; then
    measure 512 300
fi

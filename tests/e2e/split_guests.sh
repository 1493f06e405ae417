# shellcheck shell=bash
# Guests that are moved by a split, and what became of them. After lib.sh, netns.sh and lu_guest.sh
# were read:
#
#     guests_up n1 n4      g-n1 and g-n4 run there, write, and their consoles are kept

declare -A QEMU_PID

guests_up() { # NODE...
    local node
    make_lu_disk
    for node; do
        ok "a guest on $node" await "make_guest $node" 30
        on "$node" lpar console "g-$node" >"$DIR/g-$node.console" 2>/dev/null </dev/null &
        PIDS+=("$!")
        QEMU_PID[$node]=$(qemu_pid_of "$node")
    done
    for node; do
        await "[ \$(numbers <'$DIR/g-$node.console' | wc -l) -gt 20 ]" 30 ||
            bail "g-$node does not write"
    done
}

numbers() { tr -d '\r' | grep '^[0-9a-f]\{4\}$'; }

ON=n1 # whom to ask
place_of() { on "$ON" lpar show "$1" --json | jq -r '.state + " " + .node'; } # LPAR
places() { on "$ON" lpar list --json | jq -c 'map([.name, .node, .generation])'; }

runs_on() { # LPAR NODE...
    local node place
    place=$(place_of "$1")
    for node in "${@:2}"; do
        [ "$place" != "running $node" ] || return 0
    done
    return 1
}

# What its last move was: "moved split 1 from n4 with memory".
move_of() { # LPAR
    on "$ON" db get "/migration/$1" --json |
        jq -r '.[0].value | "\(.state) \(.cause) from \(.from) with \(.source)"'
}

# The QEMU that a node's guest had before it was moved has ended.
is_gone() { ! kill -0 "${QEMU_PID[$1]}" 2>/dev/null; } # NODE

# How many QEMUs of this test run on a node: one holds the lock of its run folder.
qemus_of() { # NODE
    local folder count=0
    for folder in "$DIR/$1"/run/lpar/*/; do
        [ ! -d "$folder" ] || flock -n "$folder/lock" true || count=$((count + 1))
    done
    echo "$count"
}

# What its new node's console has of it.
new_console() { # LPAR
    local node
    node=$(place_of "$1")
    on "${node#running }" lpar console "$1" --dump 2>/dev/null
}
goes_on() { [ "$(new_console "$1" | numbers | wc -l)" -gt 20 ]; } # LPAR

# Whether what both consoles said, one behind the other, has no gap; and how often it booted.
counted() { # LPAR
    cat "$DIR/$1.console" <(new_console "$1") | tr -d '\r' | python3 -c '
import re, sys
text = sys.stdin.read()
numbers = [int(n, 16) for n in re.findall(r"^([0-9a-f]{4})$", text, re.M)]
booted = text.count("boot")
print(all(b == (a + 1) % 2047 for a, b in zip(numbers, numbers[1:])), booted)
if booted != 1:
    print(f"# {len(numbers)} numbers in {len(text)} bytes, which begin:", file=sys.stderr)
    print("#", text[:300].replace("\n", "\n# "), file=sys.stderr)'
}

# The sectors that its old console said were acknowledged, and that its LU's file does not have.
not_on_disk() { # LPAR
    local node=${1#g-} file
    file=$(on "$ON" db get "/lu/$(udid_of "$node")" --json | jq -r '.[0].value.file')
    numbers <"$DIR/$1.console" | python3 -c '
import struct, sys
disk = open(sys.argv[1], "rb")
missing = set()
numbers = [int(line, 16) for line in sys.stdin]
for n in numbers:
    disk.seek((n + 1) * 512)
    if disk.read(512) != struct.pack("<H", n) * 256:
        missing.add(n)
print("too few" if len(numbers) < 20 else " ".join(map(str, sorted(missing))))' \
        "$POOL/lu/$file"
}

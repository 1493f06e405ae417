#!/usr/bin/env bash
# The disk of a Linux guest: fio within it, random 4 KiB reads and writes of 256 MiB, on an LU
# through io, against QEMU's own raw driver with cache.direct=on on a file of the same file system;
# the same kernel and first file system, in turns. Aim: at least 0.7 times QEMU's.
cd "$(dirname "$0")/../.." || exit 1
# shellcheck source=lib.sh
. tests/bench/lib.sh
need jq fio qemu-system-x86_64 ldd

ROUNDS=${QUICK:+1}
ROUNDS=${ROUNDS:-3}
GUEST=$PWD/build/guest
LIMIT_S=120

# The test guest's own file system, and over it fio with its libraries and another init.
make_initrd() {
    local root=$WORK/root file
    mkdir -p "$root/bin"
    cp "$(command -v fio)" "$root/bin/fio"
    for file in $(ldd "$(command -v fio)" | grep -oE '/[^ ]+'); do
        mkdir -p "$root$(dirname "$file")"
        cp -L "$file" "$root$file"
    done
    cat >"$root/init" <<'INIT'
#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo 1 >/proc/sys/kernel/printk
exec >/dev/ttyS0 2>&1
while read -r module; do
    insmod "/modules/$module"
done </modules/order
for mode in randread randwrite; do
    for depth in 1 16; do
        fio --name=x --filename=/dev/vda --direct=1 --ioengine=libaio --rw=$mode --bs=4k \
            --iodepth=$depth --size=256M --runtime=3 --time_based --randrepeat=0 \
            --eta=never --output-format=terse --terse-version=3 --output=/tmp.out
        echo "result $mode $depth $(cut -d';' -f8,49 /tmp.out)"
    done
done
echo the end
sleep 1000
INIT
    chmod 755 "$root/init"
    (cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$WORK/over"
    { gzip -dc "$GUEST/initrd" && cat "$WORK/over"; } >"$WORK/initrd"
}

# Waits for the guest's last line in the output of a command, which is then split into files.
await_end() { # NAME COMMAND...
    local name=$1 limit=$((SECONDS + LIMIT_S))
    shift
    until "$@" 2>/dev/null | tr -d '\r' >"$WORK/console" && grep -q '^the end' "$WORK/console"; do
        if ((SECONDS > limit)); then
            echo "guest_disk.sh: $name: no end: $(tail -n 3 "$WORK/console")" >&2
            exit 1
        fi
        sleep 0.5
    done
    while read -r _ mode depth numbers; do
        tr ';' '\n' <<<"$numbers" | sort -g | tail -n 1 >>"$WORK/$name.$mode.$depth"
    done < <(grep -oE 'result [a-z]+ [0-9]+ [0-9;]+' "$WORK/console")
}

run_ours() {
    vios lpar start g >/dev/null
    await_end ours vios lpar console g --dump
    vios lpar stop g --force >/dev/null
}

run_qemu() {
    qemu-system-x86_64 -M pc-i440fx-7.2,graphics=off -accel tcg -cpu qemu64 -m 512M -nodefaults \
        -no-user-config -display none -no-reboot -kernel "$GUEST/vmlinuz" -initrd "$WORK/initrd" \
        -append "console=ttyS0 quiet" -serial "file:$WORK/serial" \
        -blockdev "driver=file,node-name=d0,filename=$WORK/theirs.raw,cache.direct=on" \
        -device virtio-blk-pci,drive=d0,addr=4 &
    local pid=$!
    PIDS+=("$pid")
    await_end theirs cat "$WORK/serial"
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
}

make_initrd
"$BUILD/bin/vios" lab up 1 --dir "$DIR" --page-memory 16M >/dev/null
vios pool create p1 >/dev/null
vios lu create data --size 256M --thick >/dev/null
dd if=/dev/urandom of="$(vios lu show data --json | jq -r .path)" bs=1M count=256 \
    conv=fsync,notrunc status=none
dd if=/dev/urandom of="$WORK/theirs.raw" bs=1M count=256 conv=fsync status=none
vios lpar create g --memory 512M --kernel "$GUEST/vmlinuz" --initrd "$WORK/initrd" \
    --append "console=ttyS0 quiet" --disk p1/data >/dev/null
for ((i = 0; i < ROUNDS; i++)); do
    run_ours
    run_qemu
done
for mode in randread randwrite; do
    for depth in 1 16; do
        report "guest_${mode}_qd${depth}_iops" "$(median <"$WORK/ours.$mode.$depth")" qemu-raw \
            "$(median <"$WORK/theirs.$mode.$depth")" higher
    done
done

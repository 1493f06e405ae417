#!/bin/sh
# Packs the Linux test guest as a disk that boots by itself: SeaBIOS, MBR, syslinux, kernel. Needs
# no root.
#
#     make_disk.sh OUTPUT.qcow2 VMLINUZ INITRD [KERNEL_WORD...]
#
# The first partition is FAT and holds the boot loader and what it loads; the second has no file
# system and belongs to the console commands `write` and `read` of tests/guest/init.
set -eu

output=$1
vmlinuz=$2
initrd=$3
shift 3

# In sectors of 512 bytes.
DISK=131072 # 64 MiB
BOOT_START=2048
BOOT=81920 # 40 MiB
DATA_START=$((BOOT_START + BOOT))
MBR=/usr/lib/SYSLINUX/mbr.bin
MTOOLS_SKIP_CHECK=1 # mtools wants whole tracks, which no disk has any more
PATH=$PATH:/usr/sbin:/sbin
export MTOOLS_SKIP_CHECK PATH

for program in syslinux mformat sfdisk qemu-img; do
    if ! command -v "$program" >/dev/null; then
        echo "make_disk.sh: $program is not installed: run make deps" >&2
        exit 1
    fi
done

work=$(mktemp -d)
trap 'rm -rf "$work" "$output.tmp"' EXIT
disk=$work/disk.raw
truncate -s $((DISK * 512)) "$disk"
sfdisk --quiet "$disk" <<TABLE
label: dos
label-id: 0x56494f53
start=$BOOT_START, size=$BOOT, type=e, bootable
start=$DATA_START, size=$((DISK - DATA_START)), type=da
TABLE
dd if="$MBR" of="$disk" conv=notrunc status=none

boot=$disk@@$((BOOT_START * 512))
mformat -i "$boot" -T $BOOT -H $BOOT_START -h 64 -s 32 -c 4 -N 56494f53 ::
cat >"$work/syslinux.cfg" <<CONFIG
SERIAL 0 115200
DEFAULT guest
PROMPT 0
NOESCAPE 1
LABEL guest
  LINUX vmlinuz
  INITRD initrd
  APPEND console=ttyS0 quiet $*
CONFIG
for file in "$vmlinuz" "$initrd" "$work/syslinux.cfg"; do
    mcopy -i "$boot" "$file" "::${file##*/}"
done
syslinux --install --offset $((BOOT_START * 512)) "$disk"

qemu-img convert -f raw -O qcow2 "$disk" "$output.tmp"
mv "$output.tmp" "$output"

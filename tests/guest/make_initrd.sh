#!/bin/sh
# Packs the first file system of the Linux test guest.
#
#     make_initrd.sh OUTPUT KERNEL_FOLDER BUSYBOX PROGRAM...
#
# KERNEL_FOLDER is an unpacked kernel package. Only the modules that the guest needs go in, in the
# order in which they must be loaded.
set -eu

output=$1
kernel=$2
busybox=$3
shift 3
here=$(dirname "$0")
modules='net/core/failover drivers/virtio/virtio_ring drivers/virtio/virtio
    drivers/virtio/virtio_pci_legacy_dev drivers/virtio/virtio_pci_modern_dev
    drivers/virtio/virtio_pci drivers/block/virtio_blk drivers/net/net_failover
    drivers/net/virtio_net drivers/misc/pvpanic/pvpanic drivers/misc/pvpanic/pvpanic-mmio
    drivers/input/evdev drivers/acpi/button'

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/modules" "$root/proc" "$root/sys" "$root/dev" "$root/etc"
for module in $modules; do
    cp "$kernel"/lib/modules/*/kernel/"$module.ko" "$root/modules/"
    echo "${module##*/}.ko" >>"$root/modules/order"
done
cp "$busybox" "$root/bin/busybox"
cp "$@" "$root/bin/"
cp "$here/init" "$root/init"
chmod 755 "$root/init" "$root"/bin/*
ln -s busybox "$root/bin/sh"
mkdir -p "$(dirname "$output")"
(cd "$root" && find . | LC_ALL=C sort | "$root/bin/busybox" cpio -o -H newc 2>/dev/null) |
    gzip -1 -n >"$output.tmp"
mv "$output.tmp" "$output"

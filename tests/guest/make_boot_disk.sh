#!/bin/bash
# Makes the disk of a guest that is one boot sector (`boot`, `sequence`, `fill`) and zeros.
#
#     make_boot_disk.sh SECTOR DISK SIZE
set -euo pipefail

folder=$(dirname "$0")
object=$(mktemp)
trap 'rm -f "$object"' EXIT
as --32 -I "$folder" -o "$object" "$folder/$1_sector.S"
ld -m elf_i386 -Ttext=0x7c00 --oformat binary -o "$2" "$object"
truncate -s "$3" "$2"

#!/bin/bash
# Proves: of a node whose daemon, or daemon and io, stop under a writing guest for three TTLs (io
# also by itself, between the gate's check and the write, and the write and the second check), no
# write is acknowledged after T, and none reaches the file that the new owner serves; from the
# files' contents, on XFS, whose files are cloned.
# needs: heavy
# limit: 240
. "$(dirname "$0")/as_root.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/fence_freeze.sh"
freeze_all 'mkfs.xfs -q -m reflink=1' CLONE
finish

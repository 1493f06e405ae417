#!/bin/bash
# Proves: images come from raw, qcow2, vmdk and vhd disks, from archives, compressed files, folders,
# URLs and standard input, the same content each time; hostile, damaged and wrong ones are refused
# with the reason, and leave nothing, in the pool or outside of it.
# limit: 150
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
need jq qemu-img tar gzip zstd xz busybox openssl

SOURCES=$DIR/sources
IMAGES=$DIR/repository/images
err() { { "$@" >/dev/null; } 2>&1; }
made() { # WHAT SOURCE [OPTION...]
    local what=$1
    shift
    run_status "$what is imported" 0 on n1 image import "$@" --name made --json
    is "with the same content" "$(jq -r '.files[0].digest' <<<"$OUT")" "$DIGEST"
    on n1 image remove made --yes >/dev/null
}
refused() { # WHAT SOURCE MESSAGE
    run "${VIOS_N1[@]}" image import "$2" --name bad
    like "$1 is refused" "$ERR" "$3"
    is "and nothing is left" "$STATUS $(files)" "${4:-7} $BEFORE"
}
files() { # but for what happens meanwhile: events come at any time
    (cd "$DIR/repository" && find . -mindepth 1 -not -path './events*' | sort | tr '\n' ' ')
}
VIOS_N1=(on n1)

mkdir -p "$SOURCES"
cluster_up "sqlite:$DIR/db" 1
on n1 pool create p1 >/dev/null
truncate -s 8M "$SOURCES/disk.raw"
printf 'first' | dd of="$SOURCES/disk.raw" conv=notrunc bs=1 seek=5000 2>/dev/null
head -c 300000 /dev/urandom | dd of="$SOURCES/disk.raw" conv=notrunc bs=1M seek=5 2>/dev/null
for format in qcow2 vmdk vhdx; do
    qemu-img convert -f raw -O $format "$SOURCES/disk.raw" "$SOURCES/disk.$format"
done
qemu-img convert -f raw -O vpc -o force_size=on "$SOURCES/disk.raw" "$SOURCES/disk.vhd"

# --- what is good ---

run_status "a raw disk is imported" 0 on n1 image import "$SOURCES/disk.raw" --json
is "named after its file" "$(jq -r .name <<<"$OUT")" disk
DIGEST=$(jq -r '.files[0].digest' <<<"$OUT")
on n1 image remove disk --yes >/dev/null
made "qcow2" "$SOURCES/disk.qcow2"
made "vmdk" "$SOURCES/disk.vmdk"
made "vhd" "$SOURCES/disk.vhd"
made "vhdx" "$SOURCES/disk.vhdx"
gzip -k "$SOURCES/disk.raw"
xz -k -T1 "$SOURCES/disk.raw"
zstd -q -k "$SOURCES/disk.raw"
for end in gz xz zst; do
    made ".$end" "$SOURCES/disk.raw.$end"
done
(cd "$SOURCES" && tar cf web.tar ./disk.qcow2 && tar czf web.tar.gz disk.raw)
made "a tar" "$SOURCES/web.tar"
made "a compressed tar" "$SOURCES/web.tar.gz"
(cd "$SOURCES" && echo '<Envelope/>' >web.ovf && for file in web.ovf disk.vmdk; do
    echo "SHA256($file)= $(openssl dgst -sha256 -r $file | cut -d' ' -f1)"
done >web.mf && tar cf web.ova web.ovf web.mf disk.vmdk)
made "an OVA" "$SOURCES/web.ova"
OUT=$(on n1 image import - --name made --json --pool p1 < <(cat "$SOURCES/web.ova"))
is "standard input is imported" $? 0
is "with the same content" "$(jq -r '.files[0].digest' <<<"$OUT")" "$DIGEST"
on n1 image remove made --yes >/dev/null

busybox httpd -f -p 127.0.0.1:0 -h "$SOURCES" &
PIDS+=($!)
port() { ss -ltnpH | sed -n "s/.*127.0.0.1:\([0-9]*\) .*pid=$1,.*/\1/p"; } # PID
ok "a web server" await "port $! | grep -q ." 20
URL=http://127.0.0.1:$(port $!)
made "a URL" "$URL/disk.raw.zst"

# A folder of the repository, with its description.
mkdir -p "$IMAGES/folder"
cp "$SOURCES/disk.qcow2" "$IMAGES/folder/"
describe() { # DIGEST [FORMAT]
    jq -n --arg digest "sha256:$1" --arg format "${2:-qcow2}" \
        --argjson size "$(stat -c %s "$SOURCES/disk.qcow2")" \
        '{v: 1, name: "debian", version: "12.7", architecture: "x86_64", files: [{
          name: "disk.qcow2", $format, size_bytes: $size, $digest}]}' >"$IMAGES/folder/image.json"
}
describe "$(openssl dgst -sha256 -r "$SOURCES/disk.qcow2" | cut -d' ' -f1)"
like "a folder is discovered" "$(on n1 image discover --json |
    jq -c '.[] | select(.kind == "image") | [.name, .nodes, .state, .detail]')" \
    '^\["folder",\["n1"\],"ready","debian 12.7 x86_64, 1 file"\]$'
run_status "and imported by its name" 0 on n1 image import folder --name made --json
is "with the same content" "$(jq -r '.files[0].digest' <<<"$OUT")" "$DIGEST"
is "and what is said of it" "$(jq -c '[.version, .architecture]' <<<"$OUT")" '["12.7","x86_64"]'
on n1 image remove made --yes >/dev/null

# --- what is not ---

describe "$(printf '%064d' 0)"
BEFORE=$(files)
refused "a wrong digest" folder 'file "disk.qcow2": its SHA-256 is .* its description says 0000' 1
describe "$(openssl dgst -sha256 -r "$SOURCES/disk.qcow2" | cut -d' ' -f1)" raw
refused "a wrong format" folder 'file "disk.qcow2": it is qcow2, its description says raw'
echo '{"v":1,"name":"x","files":[{"name":"../disk.raw"}]}' >"$IMAGES/folder/image.json"
refused "a description that leaves its folder" folder '"../disk.raw" is no good name for a file'

cd "$SOURCES" || exit 1
ln -s /etc/passwd link.raw
mkfifo pipe.raw
tar cf up.tar --transform 's,^disk,../disk,' disk.qcow2 2>/dev/null
tar cPf absolute.tar "$SOURCES/disk.qcow2"
tar cf link.tar disk.qcow2 link.raw
tar cf pipe.tar disk.qcow2 pipe.raw
tar cf twice.tar disk.qcow2 disk.qcow2
ln disk.qcow2 hard.qcow2 && tar cf hard.tar disk.qcow2 hard.qcow2
if mknod null.raw c 1 3 2>/dev/null; then
    tar cf device.tar disk.qcow2 null.raw
    refused "a device" "$SOURCES/device.tar" 'archive member "null.raw": it is a device'
fi
refused "a member that leaves the folder" "$SOURCES/up.tar" \
    'archive member "../disk.qcow2": .*could leave the folder'
refused "an absolute member" "$SOURCES/absolute.tar" 'archive member "/.*"'
refused "a symbolic link" "$SOURCES/link.tar" 'archive member "link.raw": it is a symbolic link'
refused "a FIFO" "$SOURCES/pipe.tar" 'archive member "pipe.raw": it is a FIFO'
refused "a hard link" "$SOURCES/hard.tar" 'archive member "hard.qcow2": it is a hard link'
refused "a member that is there twice" "$SOURCES/twice.tar" \
    'archive member "disk.qcow2": it is (there twice|a hard link)'
head -c 200000 web.ova >short.ova
refused "a truncated archive" "$SOURCES/short.ova" 'archive: it is damaged or ends too soon' 1
sed -i 's/=.*/= 00/' web.mf && tar cf wrong.ova web.ovf web.mf disk.vmdk
refused "an OVA with a wrong manifest" "$SOURCES/wrong.ova" 'not what the manifest says' 1
echo nothing >readme.txt && tar cf none.tar readme.txt
refused "an archive without a disk" "$SOURCES/none.tar" 'there is no disk in the archive'
qemu-img create -q -f qcow2 -F raw -b /etc/hostname backed.qcow2 1M
refused "a qcow2 with a backing file" "$SOURCES/backed.qcow2" 'backing'
qemu-img create -q -f qcow2 -o "data_file=$SOURCES/data.raw" outside.qcow2 1M
refused "a qcow2 with its data elsewhere" "$SOURCES/outside.qcow2" 'data'
head -c 100000 disk.qcow2 >cut.qcow2
refused "a truncated qcow2" "$SOURCES/cut.qcow2" 'cut.qcow2: qemu-img: '
head -c 1000 disk.raw >odd.raw
refused "a disk of a bad size" "$SOURCES/odd.raw" \
    'file "odd.raw": it has a size that is no multiple'
: >empty.raw
refused "an empty file" "$SOURCES/empty.raw" 'file "empty.raw": it is empty'
refused "a URL that is not there" "$URL/nosuch.raw" 'url ".*": the server answers 404' 1
refused "another protocol" "ftp://127.0.0.1/disk.raw" 'neither an absolute path nor a name' 1
refused "a path that is not there" "$SOURCES/nosuch.raw" 'No such file' 1
refused "one that begins here" ./nosuch.raw 'No such file' 1
refused "a file without its folder" disk.raw 'No such file.*, give \./disk\.raw$' 1

# --- names that are taken, and things that are not there ---

says() { # WHAT REGEX COMMAND...
    local what=$1 regex=$2
    shift 2
    run on n1 "$@"
    like "$what" "$STATUS $ERR" "$regex"
}
for name in one two; do
    on n1 image import ./disk.raw --name $name >/dev/null
done
is "there are two images" "$(on n1 image list --json | jq -c '[.[].name]')" '["one","two"]'
says "another source under a name that is taken" '^1 .*image "one": .* of this name, from ' \
    image import ./disk.qcow2 --name one
says "a rename to one" '^1 .*image "one": there is an image of this name' image rename two one
says "an unknown image" '^1 .*image "onn": there is no such image: did you mean "one"' \
    image remove onn --yes
run_status "a guest" 0 on n1 image deploy one g --memory 16M --stopped
says "a second of its name" '^1 .*lpar "g": there is an LPAR of this name' \
    image deploy two g --memory 16M --stopped
on n1 lu create h-disk0 --size 1M >/dev/null
says "an LU that has the disk's name" '^1 .*lpar "h": there is an LU "p1/h-disk0" already' \
    image deploy one h --memory 16M --stopped
is "neither left anything" "$(on n1 lpar list --json | jq -c '[.[].name]') $(on n1 lu list --json |
    jq -c '[.[].name] | sort')" '["g"] ["g-disk0","h-disk0"]'
says "a pool that is not there" '^1 .*pool "p9": there is no such pool' \
    image deploy one i --memory 16M --pool p9
says "a node that is not there" '^1 .*node "n9"' image deploy one i --memory 16M --node n9
on n1 lpar create k --memory 16M --kernel "$SOURCES/readme.txt" >/dev/null
says "a guest without a disk is not captured" '^7 .*lpar "k": it has no disk to capture' \
    image capture k
says "standard input wants a name" '^2 .*standard input has no name: give --name' image import -
is "nothing is half-made" "$(find "$DIR/repository/pools" -name '.*')" ""
finish

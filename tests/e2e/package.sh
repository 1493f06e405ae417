#!/bin/bash
# Proves: the Debian package is the same each time it is made, has all that it needs, works where
# nothing else is installed, and is gone without a trace when it is removed.
# limit: 180
. "$(dirname "$0")/lib.sh"

# The root folder that it is installed in has what dpkg calls essential, what the package depends
# on, and nothing else, all of it copied from this machine. So a library that is missing in
# "Depends" is missing there, and no network is needed.
ROOT_DIR=$DIR/root

[ "$SLOW" = 1 ] || skip_all "programs of this build need more than the package says"
need make dpkg-deb dpkg-shlibdeps strip unshare systemd-sysusers systemd-tmpfiles
[ -e /var/lib/dpkg/status ] || skip_all "this is not Debian"
if [ "$(id -u)" = 0 ]; then
    OWN_NAMESPACES=(unshare --mount --pid --fork --kill-child)
else
    OWN_NAMESPACES=(unshare --map-root-user --mount --pid --fork --kill-child)
fi
"${OWN_NAMESPACES[@]}" mount -t proc proc /proc 2>/dev/null ||
    skip_all "neither root nor a user namespace of one's own may mount here"

# With the programs as they are: other tests are running them.
make_deb() { # FILE
    env -u MAKEFLAGS -u MAKEOVERRIDES -u MAKELEVEL \
        make -s -C "$ROOT" -o all B="$BUILD" DEB="$1" deb >/dev/null
}

# Installed packages: the essential ones, those named, and all that they depend on.
with_dependencies() { # DEPENDS
    local fields='${db:Status-Status}\t${Package}\t${Essential}\t'
    fields+='${Pre-Depends}, ${Depends}\t${Provides}\n'
    # shellcheck disable=SC2016 # not the shell's
    dpkg-query -W -f "$fields" |
        awk -F '\t' -v wanted="$1" '
            function want(list,    groups, names, i, j, n, m, name) {
                n = split(list, groups, /, */)
                for (i = 1; i <= n; i++) {
                    m = split(groups[i], names, /[ ]*[|][ ]*/)
                    for (j = 1; j <= m; j++) {
                        name = names[j]
                        sub(/[ :(].*/, "", name)
                        name = name in needs ? name : provided[name]
                        if (name != "") {
                            break
                        }
                    }
                    if (name != "" && !(name in seen)) {
                        seen[name] = 1
                        queue[++last] = name
                    }
                }
            }
            $1 == "installed" {
                needs[$2] = $4
                essential = essential ($3 == "yes" ? ", " $2 : "")
                count = split($5, names, /, */)
                for (i = 1; i <= count; i++) {
                    sub(/[ :(].*/, "", names[i])
                    provided[names[i]] = $2
                }
            }
            END {
                want(wanted essential)
                for (at = 1; at <= last; at++) {
                    print queue[at]
                    want(needs[queue[at]])
                }
            }'
}

# Their files, without what only people and other languages need. Some machines lack a few, and some
# can be read by root alone; what is missed is missed by the programs.
copy_files() { # PACKAGE...
    dpkg-query -L "$@" | sed 's,^/,,' | LC_ALL=C sort -u |
        grep -vE '^(\.?$|dev/|proc/|sys/|usr/lib/([^/]*/gconv|udev/hwdb\.d)/)' |
        grep -vE '^usr/share/(doc|man|info|locale|zoneinfo|bug|lintian)/' |
        { tar -C / --create --no-recursion --ignore-failed-read -T - 2>/dev/null || true; } |
        tar -C "$ROOT_DIR" --extract --no-same-owner --no-same-permissions --keep-directory-symlink
}

# What dpkg must know of them; their own scripts are not run.
copy_records() { # PACKAGE...
    local package
    mkdir -p "$ROOT_DIR/var/lib/dpkg/info" "$ROOT_DIR/var/lib/dpkg/updates"
    dpkg-query -s "$@" >"$ROOT_DIR/var/lib/dpkg/status"
    for package; do
        cp /var/lib/dpkg/info/"$package".list /var/lib/dpkg/info/"$package":*.list \
            "$ROOT_DIR/var/lib/dpkg/info/" 2>/dev/null
    done
}

make_root() { # PACKAGE...
    local folder
    mkdir -p "$ROOT_DIR"/{dev,proc,sys,run,tmp,root,etc,var/log,usr}
    for folder in bin sbin lib lib32 lib64 libx32; do
        if [ -L "/$folder" ]; then
            mkdir -p "$ROOT_DIR/usr/$folder"
            ln -s "usr/$folder" "$ROOT_DIR/$folder"
        fi
    done
    copy_records "$@"
    copy_files "$@" &&
        cp /usr/share/base-passwd/passwd.master "$ROOT_DIR/etc/passwd" &&
        cp /usr/share/base-passwd/group.master "$ROOT_DIR/etc/group"
}

in_root() { # COMMAND...
    # shellcheck disable=SC2016 # its own $1
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive \
        "${OWN_NAMESPACES[@]}" sh -c 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" &&
            exec chroot "$@"' sh "$ROOT_DIR" "$@"
}

# What is there, without dpkg's own notes, and the copies made when a group is added: groups stay.
files() {
    (cd "$ROOT_DIR" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/log/dpkg.log \
        -o -path './etc/*-' \) -prune -o -printf '%p %M\n' | LC_ALL=C sort)
}

# --- the package ---

ok "a package is made" make_deb "$DIR/vios.deb" || bail "there is nothing to test"
make_deb "$DIR/again.deb"
ok "made again it is the same" cmp "$DIR/vios.deb" "$DIR/again.deb"
contents=$(dpkg-deb --contents "$DIR/vios.deb")
is "all of it is root's" "$(awk '$2 != "root/root"' <<<"$contents")" ""
for file in usr/bin/vios usr/libexec/vios/daemon usr/libexec/vios/io usr/libexec/vios/place \
    usr/libexec/vios/ssh.so usr/share/man/man1/vios.1.gz \
    usr/share/bash-completion/completions/vios \
    usr/lib/systemd/system/vios.service usr/lib/sysusers.d/vios.conf usr/lib/tmpfiles.d/vios.conf \
    usr/share/doc/vios/copyright usr/share/doc/vios/changelog.gz etc/vios/vios.conf; do
    like "it has $file" "$contents" " \./$file"
done
dpkg-deb --control "$DIR/vios.deb" "$DIR/control"
is "its one configuration file is known as such" "$(cat "$DIR/control/conffiles")" \
    /etc/vios/vios.conf
is "its version is the program's" "vios $(dpkg-deb -f "$DIR/vios.deb" Version)" \
    "$("$VIOS" --version | head -n 1)"

# --- in a root folder that has what it depends on ---

mapfile -t packages < <(with_dependencies "$(dpkg-deb -f "$DIR/vios.deb" Depends)")
make_root "${packages[@]}" || bail "no root folder is made"
mv "$DIR/vios.deb" "$ROOT_DIR/tmp/"
run_status "a root folder of ${#packages[@]} packages works" 0 in_root systemd-sysusers
before=$(files)

run_status "it is installed" 0 in_root dpkg --force-unsafe-io --install /tmp/vios.deb
run_status "its files are whole" 0 in_root dpkg --verify vios
is "nothing differs" "$OUT" ""
like "there is a group of operators" "$(cat "$ROOT_DIR/etc/group")" $'\nvios-operator:'
is "the state folder is closed" "$(stat -c %a "$ROOT_DIR/var/lib/vios")" 700
run_status "the program runs" 0 in_root vios --version
like "and says what it is" "$OUT" '^vios [0-9.]+'$'\n'
run_status "the daemon says that it has no name yet" 2 in_root vios daemon
like "naming the key" "$ERR" 'set "node = NAME"'

run_status "a lab" 0 in_root sh -c \
    'vios lab up 3 --page-memory 16M >/dev/null && vios node list --fmt : --field name,state &&
        vios lab down'
is "has its nodes" "$OUT" $'n1:up\nn2:up\nn3:up'

# --- and gone ---

run_status "it is removed" 0 in_root dpkg --remove vios
ok "its configuration stays" test -e "$ROOT_DIR/etc/vios/vios.conf"
run_status "it is purged" 0 in_root dpkg --purge vios
is "nothing is left" "$(diff <(cat <<<"$before") <(files))" ""

# --- once more; systemd's programs leave things in /run ---

in_root dpkg --force-unsafe-io --install /tmp/vios.deb >/dev/null
run_status "the unit is one that systemd understands" 0 in_root \
    systemd-analyze verify --man=no vios.service
is "to the last line" "$OUT$ERR" ""
in_root systemd-analyze security --offline=yes --no-pager vios.service 2>&1 | tail -n 1 |
    sed 's/^/# /'
echo secret >"$ROOT_DIR/var/lib/vios/node.key"
run_status "it is purged from a node that has data" 0 in_root dpkg --purge vios
like "which is told" "$OUT" '/var/lib/vios has the keys and data'
ok "and left" test -e "$ROOT_DIR/var/lib/vios/node.key"
finish

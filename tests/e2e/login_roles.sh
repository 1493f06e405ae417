#!/bin/bash
# Proves: accounts whose login shell is rvios have the role of their groups, in the daemon, whatever
# groups their processes have; a key can have less; who is in no group is refused. The audit has the
# user's name. Root only: it has a user database of its own, in a mount namespace.
# limit: 120
. "$(dirname "$0")/as_root.sh" -m
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/sshd.sh"
sshd_need
need jq setpriv
# other users must get at the socket and the programs, and the usual folder is ours alone
rm -rf "$DIR"
DIR=$(mktemp -d /tmp/vios-t-XXXXXX)
mkdir -p "$DIR/ssh/authorized" "$DIR/bin" "$DIR/home"
chmod 711 "$DIR" "$DIR/ssh" "$DIR/ssh/authorized"
. "$(dirname "$0")/lab.sh"
cp "$VIOS" "$DIR/bin/vios"
ln -s vios "$DIR/bin/rvios"
chmod 755 "$DIR/bin" "$DIR/bin/vios"

FIRST=61001
add_user() { # NAME ID
    echo "$1:*:$2:$FIRST:$1:$DIR/home:$DIR/bin/rvios" >>"$DIR/passwd"
}
cp /etc/passwd /etc/group "$DIR"
add_user tina 61001
add_user olga 61002
add_user vera 61003
add_user nora 61004
printf '%s\n' "people:x:$FIRST:" "vios-admin:x:61011:tina" "vios-operator:x:61012:olga" \
    "watchers:x:61013:vera,olga" >>"$DIR/group"
printf '%s\n' "passwd: files" "group: files" >"$DIR/nsswitch"
for name in passwd group; do
    mount --bind "$DIR/$name" "/etc/$name" || skip_all "no mount of its own"
done
[ ! -e /etc/nsswitch.conf ] || mount --bind "$DIR/nsswitch" /etc/nsswitch.conf
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/vios /run/sshd

"$VIOS" lab up 1 >/dev/null || bail "a lab"
echo "viewer_group = watchers" >>"$LAB/n1/vios.conf"
PID=$(lab_pid n1 daemon_pid)
kill "$PID"
await "[ ! -e /proc/$PID ]" 20
"$VIOS" lab up >/dev/null
chmod 711 "$LAB" "$LAB/n1" "$LAB/n1/run"
mount --bind "$LAB/n1/run" /run/vios

sshd_key key
sshd_key less
for name in tina olga vera nora; do
    {
        cat "$DIR/ssh/key.pub"
        echo "restrict,pty,command=\"vios --restricted --role viewer\" $(cat "$DIR/ssh/less.pub")"
    } >"$DIR/ssh/authorized/$name"
done
SFTP=$(find /usr/lib/openssh /usr/libexec/openssh -name sftp-server 2>/dev/null | head -n 1)
sshd_up "Subsystem sftp ${SFTP:-/nonexistent}" "DisableForwarding yes"

NAMES="node list --fmt : --field name"
run_status "the login shell runs a command" 0 ssh_as key tina "$NAMES"
is "its output" "$OUT" n1
is "and lines" "$(echo "$NAMES" | ssh -F "$DIR/ssh/config" -i "$DIR/ssh/key" -l vera gate)" n1
run ssh_as key tina "touch $DIR/home/canary; lab up"
ok "no other" [ "$STATUS" != 0 ]
ok "which would do something" [ ! -e "$DIR/home/canary" ]

run_status "an admin changes" 0 ssh_as key tina pool create p1
run_status "an operator does some" 0 ssh_as key olga alert set pool-free 10
run_status "and not all" 1 ssh_as key olga pool create p2
like "for its role" "$ERR" 'needs the role admin; yours is operator'
run_status "a viewer looks" 0 ssh_as key vera "$NAMES"
run_status "and changes nothing" 1 ssh_as key vera alert set pool-free 20
like "for its role" "$ERR" 'needs the role operator; yours is viewer'
run_status "who is in no group is refused" 1 ssh_as key nora "$NAMES"
like "and told what the groups are" "$ERR" 'members of: vios-admin, vios-operator, watchers'
run_status "a key has less than its account" 1 ssh_as less tina pool create p3
like "though it runs the same shell" "$ERR" 'needs the role admin; yours is viewer'
run_status "but not nothing" 0 ssh_as less tina "$NAMES"
run_status "nor more" 1 ssh_as less nora "$NAMES"

# --- past the shell: a process of the user, and the socket ---
by_hand() { # USER-ID GROUP-ID CALL
    setpriv --reuid "$1" --regid "$2" --groups "$2" perl -MIO::Socket::UNIX -e '
        my $s = IO::Socket::UNIX->new("/run/vios/vios.sock") or die; $s->autoflush(1);
        print $s "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"rpc.hello\",",
            "\"params\":{\"level\":[0,1]}}\n";
        <$s>; print $s "{\"jsonrpc\":\"2.0\",\"id\":1,$ARGV[0]}\n"; print scalar <$s>;' "$3"
}
SET='"method":"alert.set","params":{"metric":"pool-free","limit":"30"}'
like "by hand a viewer is one, too" "$(by_hand 61003 61001 "$SET")" '"denied".*yours is viewer'
like "whatever groups its process has" "$(by_hand 61003 61011 "$SET")" '"denied".*yours is viewer'
like "or has not" "$(by_hand 61002 61001 "$SET")" '"result"'

is "the audit has the names, and where they came from" "$(on n1 audit list --json |
    jq -r '.[] | select(.actor != "uid:0") | [.actor, .user, .from // "-", .method] |
        join(" ")')" \
    "uid:61001 tina 127.0.0.1 pool.create
uid:61002 olga 127.0.0.1 alert.set
uid:61002 olga - alert.set"

echo canary >"$DIR/canary"
run scp -q -F "$DIR/ssh/config" -i "$DIR/ssh/key" "$DIR/canary" "tina@gate:$DIR/home/copied"
ok "the login shell serves no sftp" [ "$STATUS" != 0 ]
ok "nothing is copied" [ ! -e "$DIR/home/copied" ]
finish

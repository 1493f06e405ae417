#!/bin/bash
# Proves: through a real sshd, `ssh -tt gate vios lpar console G` is the guest's console: what it
# printed comes, what is typed gets there, Ctrl-] ends it, and the terminal is as it was.
# needs: heavy
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/nodes.sh"
need jq expect ssh ssh-keygen
SSHD=$(command -v sshd || echo /usr/sbin/sshd)
test -x "$SSHD" || skip_all "sshd is not installed"
DISK=$ROOT/build/guest/disk.qcow2
test -f "$DISK" || skip_all "no guest: run make guest"

# A server for each connection, without a port: sshd -i behind a ProxyCommand.
ssh-keygen -q -t ed25519 -N '' -f "$DIR/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$DIR/key"
cp "$DIR/key.pub" "$DIR/authorized"
cat >"$DIR/sshd_config" <<END
HostKey $DIR/host_key
AuthorizedKeysFile $DIR/authorized
StrictModes no
UsePAM no
PidFile none
PermitRootLogin yes
END
echo "gate $(cut -d' ' -f1,2 "$DIR/host_key.pub")" >"$DIR/known"
cat >"$DIR/ssh_config" <<END
Host gate
    ProxyCommand $SSHD -i -f $DIR/sshd_config -E $DIR/sshd.log
    IdentityFile $DIR/key
    IdentitiesOnly yes
    UserKnownHostsFile $DIR/known
    LogLevel ERROR
END
[ "$(id -u)" != 0 ] || mkdir -p /run/sshd # where it separates its privileges
run ssh -F "$DIR/ssh_config" -tt gate true
[ "$STATUS" = 0 ] || skip_all "this user's sshd lets nobody in: $(tail -n 1 "$DIR/sshd.log")"

cluster_up "sqlite:$DIR/db" 1
on n1 pool create p1 >/dev/null
on n1 image import "$DISK" --name busybox >/dev/null
run_status "a guest" 0 on n1 image deploy busybox g --memory 96M
ok "which is up" await "on n1 lpar console g --dump | grep -q 'guest ready'" 60

cat >"$DIR/session.exp" <<END
set timeout 30
proc must {what pattern} {
    expect {
        -re \$pattern {}
        timeout { puts "\nnot seen: \$what"; exit 1 }
        eof { puts "\nended: \$what"; exit 1 }
    }
}
spawn ssh -F $DIR/ssh_config -tt gate $VIOS --socket $DIR/n1/run/vios.sock lpar console g
must "what the guest printed" "guest ready"
send "write through ssh\r"
must "an answer" "guest wrote through ssh"
send "read\r"
must "another" "guest data through ssh"
send "\x1d"
expect eof
set ended [wait]
exit [lindex \$ended 3]
END
run_status "the console is used through ssh, and left with Ctrl-]" 0 expect "$DIR/session.exp"
cat >"$DIR/shell.exp" <<END
set timeout 30
spawn ssh -F $DIR/ssh_config -tt gate "stty -a | tr ';' '\n' | sort > $DIR/before;\
 $VIOS --socket $DIR/n1/run/vios.sock lpar console g;\
 stty -a | tr ';' '\n' | sort > $DIR/after"
expect -re "guest ready"
send "\x1d"
expect eof
END
expect "$DIR/shell.exp" >"$DIR/shell.out"
is "the terminal is as it was" "$(cat "$DIR/after")" "$(cat "$DIR/before")"
ok "of which there was one" grep -q echo "$DIR/before"
is "the guest runs on" "$(on n1 lpar show g --json | jq -r .state)" running
run_status "without a terminal the console ends with its input" 0 \
    ssh -F "$DIR/ssh_config" gate "$VIOS" --socket "$DIR/n1/run/vios.sock" lpar console g --dump
like "and its output is plain" "$OUT" "guest data through ssh"
finish

#!/bin/bash
# Proves: at the prompt, Ctrl-C ends a command that runs on other hosts, there too, and the shell
# goes on over the same sessions; a host whose key is unknown is asked about, and noted when the
# answer is yes; a key's passphrase is asked for, unseen.
# limit: 120
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/ssh_hosts.sh"
need expect
ssh_up
ssh_host h1
ssh_host h2
run ssh -F "$VIOS_SSH_CONFIG" h1 true
[ "$STATUS" = 0 ] || skip_all "this user's sshd lets nobody in: $(tail -n 1 "$DIR/ssh/h1.log")"
unset VIOS_SOCKET
export HOME=$DIR XDG_STATE_HOME=$DIR/state TERM=xterm
mkfifo "$DIR/hangs"

cat >"$DIR/lib.exp" <<'END'
log_user 0
set timeout 30
proc must {what pattern} {
    expect {
        -re $pattern { puts "seen: $what" }
        timeout { puts "not seen: $what"; exit 1 }
        eof { puts "ended: $what"; exit 1 }
    }
}
END
cat >"$DIR/interrupt.exp" <<END
source $DIR/lib.exp
spawn $VIOS
must "a prompt" "> "
send "on h\[1-2\] !echo \\\$\\\$ >>$DIR/pids; cat $DIR/hangs\r"
while {[catch {exec grep -c . $DIR/pids} count] || \$count < 2} { after 50 }
send "\x03"
must "the end of it" "(cancelled|interrupted)"
must "the prompt again" "> "
send "on h\[1-2\] !echo still \\\$((40 + 2))\r"
must "the same sessions go on" "still 42"
send "quit\r"
expect eof
END
run_status "Ctrl-C ends what runs there" 0 expect "$DIR/interrupt.exp"
echo "$OUT" | sed 's/^/# /'
ended() { ! xargs -n 1 kill -0 <"$DIR/pids" 2>/dev/null; } # none of them is left
ok "and there it has ended" await ended 20
is "over one session each" "$(cat "$DIR"/ssh/h[12].log | grep -c 'Accepted publickey')" 3

: >"$DIR/ssh/known"
cat >"$DIR/unknown.exp" <<END
source $DIR/lib.exp
spawn $VIOS on h1 "!echo reached \\\$((40 + 2))"
must "the question" "not known. Its key is SHA256:\[^\n\]*\n\[^\n\]*right one"
send "\$answer\r"
expect {
    -re "reached 42" { puts reached }
    eof {}
}
END
for answer in n y; do
    sed "1a set answer $answer" "$DIR/unknown.exp" >"$DIR/unknown.$answer.exp"
    run_status "an unknown key is asked about ($answer)" 0 expect "$DIR/unknown.$answer.exp"
    [ $answer = n ] && want='' || want=reached
    is "and the answer counts" "$(grep reached <<<"$OUT")" "$want"
done
is "the key is noted" "$(grep -c '^h1 ' "$DIR/ssh/known")" 1

ssh-keygen -q -p -P '' -N 'open sesame' -f "$DIR/ssh/key"
cat >"$DIR/secret.exp" <<END
source $DIR/lib.exp
spawn $VIOS on h1 "!echo reached \\\$((40 + 2))"
must "the question" "assphrase\[^\n\]*: "
send "open sesame\r"
log_user 1
must "the command" "reached 42"
END
run_status "a passphrase is asked for" 0 expect "$DIR/secret.exp"
is "and not shown" "$(grep -c sesame <<<"$OUT")" 0
finish

#!/bin/bash
# Proves: where no key lets one in, a password, or whatever else the host asks for, is asked at the
# terminal, unseen; a wrong one is asked for again, three times at most; without a terminal nobody
# is asked. Root only: it has a user database of its own, in a mount namespace.
# limit: 120
. "$(dirname "$0")/as_root.sh" -m
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/ssh_hosts.sh"
need expect openssl
[ -d /etc/pam.d ] || skip_all "no PAM"
ssh_up
chmod 711 "$DIR" "$DIR/ssh"
mkdir -m 755 "$DIR/home"

cp /etc/passwd /etc/shadow "$DIR"
echo "nina:x:61001:65534:nina:$DIR/home:/bin/sh" >>"$DIR/passwd"
echo "nina:$(openssl passwd -6 'open sesame'):19000:0:99999:7:::" >>"$DIR/shadow"
printf '%s\n' "passwd: files" "shadow: files" "group: files" >"$DIR/nsswitch"
printf '%s\n' "auth required pam_unix.so" "account required pam_unix.so" \
    "session optional pam_permit.so" >"$DIR/pam"
for file in passwd shadow; do
    mount --bind "$DIR/$file" "/etc/$file" || skip_all "no mount of its own"
done
[ ! -e /etc/nsswitch.conf ] || mount --bind "$DIR/nsswitch" /etc/nsswitch.conf
[ ! -e /etc/pam.d/sshd ] || mount --bind "$DIR/pam" /etc/pam.d/sshd
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/sshd

ssh_host plain
ssh_host asking
sed -i "s|^AuthorizedKeysFile.*|AuthorizedKeysFile none|" "$DIR"/ssh/*.conf
printf '%s\n' "PasswordAuthentication yes" "KbdInteractiveAuthentication no" \
    >>"$DIR/ssh/plain.conf"
sed -i "s|^UsePAM no|UsePAM yes|" "$DIR/ssh/asking.conf"
printf '%s\n' "PasswordAuthentication no" "KbdInteractiveAuthentication yes" \
    >>"$DIR/ssh/asking.conf"
unset VIOS_SOCKET
export HOME=$DIR TERM=xterm

cat >"$DIR/type.exp" <<'END'
# type.exp HOST WORD...: types each when it is asked for
log_user 1
set timeout 20
spawn $env(VIOS) on nina@[lindex $argv 0] "!echo reached \$((40 + 2)) as \$LOGNAME"
foreach word [lrange $argv 1 end] {
    expect {
        -re {assword: } { send "$word\r" }
        timeout { puts "nobody asked"; exit 1 }
        eof { puts "ended"; exit 1 }
    }
}
expect eof {} timeout { puts "it does not end"; exit 1 }
exit [lindex [wait] 3]
END
export VIOS
for host in plain asking; do
    sed -i "s|^Host $host\$|& nina@$host|" "$DIR/ssh/config"
    run_status "$host: nobody is there to be asked" 1 "$VIOS" on "nina@$host" '!true'
    like "which is said" "$ERR" "$host: no key lets you in, and nobody was there to be asked"
    run_status "$host: the right one" 0 expect "$DIR/type.exp" $host 'open sesame'
    like "lets in" "$OUT" 'reached 42 as nina'
    is "and is not seen" "$(grep -c sesame <<<"$OUT")" 0
    run_status "$host: the second is right" 0 expect "$DIR/type.exp" $host wrong 'open sesame'
    like "and lets in" "$OUT" 'reached 42 as nina'
    run_status "$host: all are wrong" 1 expect "$DIR/type.exp" $host no nor 'nor that'
    like "which is said" "$OUT" 'what you typed does not either'
done
finish

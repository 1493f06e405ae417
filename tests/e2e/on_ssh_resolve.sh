#!/bin/bash
# Proves: a name server that does not answer holds nobody: a host's name is looked up within the
# time-out, a Ctrl-C ends it, and other hosts answer meanwhile; a name that no host has is told.
# Root only: the name server is one of a network namespace of its own.
# limit: 60
. "$(dirname "$0")/as_root.sh" -mn
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/ssh_hosts.sh"
need ip perl
ip link set lo up
printf '%s\n' "nameserver 127.0.0.1" "options timeout:30 attempts:5" >"$DIR/resolv.conf"
printf '%s\n' "hosts: files dns" "passwd: files" "group: files" >"$DIR/nsswitch"
for pair in resolv.conf:/etc/resolv.conf nsswitch:/etc/nsswitch.conf; do
    [ ! -e "${pair#*:}" ] || mount --bind "$DIR/${pair%%:*}" "$(realpath "${pair#*:}")" ||
        skip_all "no mount of its own"
done
# Says when it is asked, and does not answer.
perl -MIO::Socket::INET -e '
    my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 53, Proto => "udp")
        or die;
    open(my $ready, ">", "$ARGV[0]/ready") or die;
    while (defined $server->recv(my $data, 512)) { open(my $asked, ">", "$ARGV[0]/asked") or die }
' "$DIR" &
PIDS+=($!)
await "[ -e '$DIR/ready' ]" 10 || bail "a name server"
ssh_up
ssh_host h1
unset VIOS_SOCKET
export HOME=$DIR

run_status "a name server that is silent" 3 "$VIOS" --timeout 3s on h1,far.example '!echo hi'
like "holds no other host" "$OUT" $'^h1:\nhi'
like "and is named in time" "$ERR" \
    'far.example: its name is not looked up in time: give a longer --timeout'
rm "$DIR/asked"
"$VIOS" on far.example '!true' 2>"$DIR/err" &
WAITER=$!
await "[ -e '$DIR/asked' ]" 20 || bail "it asks"
kill -INT "$WAITER"
wait "$WAITER"
is "Ctrl-C ends the waiting" $? 130
run_status "an address needs none" 4 "$VIOS" on 127.0.0.1 '!true'
like "it is tried" "$ERR" '127.0.0.1: ssh cannot connect: .*refused'
printf '%s\n' "hosts: files" >"$DIR/nsswitch"
run_status "a name that no host has" 1 "$VIOS" on far.example '!true'
like "is told" "$ERR" 'far.example: it is no member, and no host of this name is known'
finish

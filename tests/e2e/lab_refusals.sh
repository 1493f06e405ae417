#!/bin/bash
# Proves: lab touches no folder that is not its own, says what is wrong with a bad request, and a
# failure half-way takes everything down again and shows the end of the failing daemon's log.
# limit: 60
. "$(dirname "$0")/lib.sh"

run_status "no lab to show" 1 "$VIOS" lab status --dir "$DIR/none"
like "it says so" "$ERR" 'there is no lab.*lab up'
run_status "an empty VIOS_LAB_DIR is none" 1 \
    env VIOS_LAB_DIR= XDG_RUNTIME_DIR="$DIR" "$VIOS" lab status
like "the lab would be the user's own" "$ERR" "lab \"$(realpath "$DIR")/vios-lab-$(id -u)\""
run_status "no lab to take down" 1 "$VIOS" lab down --dir "$DIR/none"

mkdir "$DIR/other"
echo precious >"$DIR/other/file"
run_status "up refuses a folder with other things" 1 "$VIOS" lab up --dir "$DIR/other"
like "it says so" "$ERR" 'is no lab, and is left alone'
run_status "so does down" 1 "$VIOS" lab down --dir "$DIR/other"
is "nothing was touched" "$(ls -A "$DIR/other"; cat "$DIR/other/file")" $'file\nprecious'

mkdir "$DIR/fake"
echo '{"v":1}' >"$DIR/fake/lab.json"
run_status "a marker that says nothing is none" 1 "$VIOS" lab down --dir "$DIR/fake"
ok "and is left alone" test -f "$DIR/fake/lab.json"

ln -s "$DIR/other" "$DIR/link"
run_status "a link is no folder of ours" 1 "$VIOS" lab up --dir "$DIR/link"

run_status "a folder too long for sockets" 2 "$VIOS" lab up --dir "$DIR/$(printf 'x%.0s' {1..90})"
like "it says how long it may be" "$ERR" 'characters.*shorter'
run_status "a name that the configuration cannot bear" 2 "$VIOS" lab up --dir "$DIR/a b"
run_status "no nodes" 2 "$VIOS" lab up 0 --dir "$DIR/lab"
run_status "too many" 2 "$VIOS" lab up 17 --dir "$DIR/lab"
like "it says how many" "$ERR" '1 to 16'
run_status "no number" 2 "$VIOS" lab up many --dir "$DIR/lab"
run_status "a bad size" 2 "$VIOS" lab up 1 --dir "$DIR/lab" --page-memory much
ok "none of these made a folder" test ! -e "$DIR/lab"

# A tree of programs whose daemon fails on n2.
mkdir -p "$DIR/tree/bin" "$DIR/tree/libexec/vios"
cp "$VIOS" "$DIR/tree/bin/vios"
cat >"$DIR/tree/libexec/vios/daemon" <<SCRIPT
#!/bin/bash
if [[ \$* == *"/n2/"* ]]; then
    echo "the second one fails on purpose" >&2
    exit 1
fi
exec "$DAEMON" "\$@"
SCRIPT
chmod 755 "$DIR/tree/libexec/vios/daemon"
run_status "a daemon that fails" 4 "$DIR/tree/bin/vios" lab up 3 --dir "$DIR/lab" --page-memory 16M
like "the error names the node and shows its log" "$ERR" 'n2.*fails on purpose'
ok "everything was taken down again" test ! -e "$DIR/lab"

# A background process of a script ignores SIGINT, so it gets it back as a terminal's has it.
setsid bash -c 'trap - INT; exec "$@"' _ "$VIOS" lab up 8 --dir "$DIR/lab" --page-memory 16M \
    2>/dev/null &
up=$!
ok "a lab is on its way" await 'test -e "$DIR/lab/n1/daemon.log"' 20
kill -INT $up
wait $up
is "Ctrl-C half-way ends it with 130" $? 130
ok "and takes it down again" test ! -e "$DIR/lab"
finish

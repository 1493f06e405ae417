#!/bin/bash
# Proves: scripts/backup.lua makes a backup that is whole and keeps the newest ones, removes nothing
# that is not its own, and nothing at all when the new one is damaged or the clock is wrong.
# limit: 60
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab.sh"
need jq

run_status "lab up" 0 "$VIOS" lab up 1
B=$DIR/backups
mkdir "$B"
backup() { VIOS_SOCKET=$LAB/n1/run/vios.sock "${WITH:-$VIOS}" "$ROOT/scripts/backup.lua" "$@"; }
names() { (cd "$B" && LC_ALL=C ls); }
remove_newest() { rm "$B/$(names | grep '^vios-lab-2.*Z\.db$' | tail -n 1)"; }

run_status "a backup" 0 backup "$B/"
like "is told" "$OUT" "^$B/vios-lab-[0-9]{8}T[0-9]{6}Z\.db, [0-9.]+[KM], is whole; 1 kept, 0 rem"
NEW=$(names)
run_status "what was told is a backup" 0 "$VIOS" db check "$B/$NEW"

# --- the newest are kept ---
remove_newest
for day in 1 2 3 4; do
    touch "$B/vios-lab-2020010${day}T000000Z.db"
done
touch "$B/vios-other-20200101T000000Z.db" "$B/vios-lab-notes.db" "$B/mine"
run_status "three are kept" 0 backup "$B" --keep 3 --json
is "the new one, too" "$(jq -c '[.kept, .removed]' <<<"$OUT")" \
    '[3,["vios-lab-20200101T000000Z.db","vios-lab-20200102T000000Z.db"]]'
NEW=$(basename "$(jq -r .path <<<"$OUT")")
is "what else is there stays" "$(names | paste -sd' ')" "mine vios-lab-20200103T000000Z.db \
vios-lab-20200104T000000Z.db $NEW vios-lab-notes.db vios-other-20200101T000000Z.db"
remove_newest # its name is that of this second
run_status "nothing is said with --quiet" 0 backup "$B" --quiet
is "indeed" "$OUT$ERR" ""
remove_newest

# --- a backup that is not whole ---
mkdir -p "$DIR/with/bin" "$DIR/with/libexec/vios"
cp "$VIOS" "$DIR/with/bin/"
cat >"$DIR/with/libexec/vios/daemon" <<'SH'
#!/bin/sh
echo '{"say":"error","error":{"code":"corrupt","message":"page 3 is damaged"}}'
exit 1
SH
chmod +x "$DIR/with/libexec/vios/daemon"
WITH=$DIR/with/bin/vios run_status "one that is damaged" 1 backup "$B" --keep 1
like "says so" "$ERR" 'Z\.db\.damaged: the new backup is not whole: page 3 is damaged: no older'
like "and is set aside" "$(names)" 'Z\.db\.damaged'
like "no older one is removed" "$(names)" '20200103T000000Z.*20200104T000000Z'

# --- a clock that was wrong ---
touch "$B/vios-lab-29990101T000000Z.db"
run_status "a backup of the future" 1 backup "$B" --keep 1
like "is named" "$ERR" 'vios-lab-29990101T000000Z\.db: this backup is of a later time than now'
like "no older one is removed" "$(names)" '20200103T000000Z.*20200104T000000Z'

# --- folders ---
run_status "no folder" 1 backup "$DIR/none"
like "says so" "$ERR" 'none: there is no such folder'
run_status "no whole path" 2 backup backups
run_status "nothing to keep" 2 backup "$B" --keep 0
run_status "which folder?" 2 backup
like "is asked" "$ERR" 'FOLDER is missing: use: vios .*backup\.lua FOLDER \[--keep COUNT\]'
run_status "no daemon" 4 backup "$B" --socket "$DIR/none.sock"
run_status "--help" 0 backup --help
finish

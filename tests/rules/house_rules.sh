#!/bin/bash
# Proves: the source keeps the rules that a compiler does not see: which folder may include which,
# lengths, banned calls, no dead file, a manual that fits the commands.
# limit: 60
# shellcheck disable=SC2046,SC2044 # the names of our files have no spaces
. "$(dirname "$0")/../e2e/lib.sh"
cd "$ROOT" || exit 1

LINE_MAX=100     # columns
FUNCTION_MAX=70  # lines; a switch that only dispatches says /* dispatch */ before its function
FILE_MAX=1000    # lines

# What each folder may include beside itself. To add an arrow, ask whether it points down.
ARROWS='
core/base     :
core/cluster  : core/store core/base
core/store    : core/base
core/net      : core/base
core/nbd      : core/net core/base
core/job      : core/store core/base
core/ssh      : core/net core/base
core/node     : core/job core/store core/nbd core/net core/cluster core/base
core/paging   : core/node core/job core/store core/nbd core/net core/base
core/storage  : core/node core/job core/store core/nbd core/net core/base
core/event    : core/storage core/node core/store core/net core/base
core/lpar     : core/hibernation core/paging core/storage core/node core/job core/cluster core/store core/nbd core/net core/base
core/image    : core/lpar core/storage core/node core/job core/store core/nbd core/net core/base
core/ffdc     : core/event core/storage core/node core/job core/cluster core/store core/net core/base
core/alert    : core/paging core/storage core/node core/cluster core/store core/base
core/hibernation : core/storage core/net core/base
core/restore  : core/store core/base
core/io       : core/paging core/storage core/nbd core/net core/base
core/migration : core/lpar core/node core/job core/cluster core/store core/base
core/daemon   : core/migration core/alert core/restore core/ffdc core/image core/lpar core/hibernation core/event core/paging core/storage core/node core/job core/cluster core/store core/nbd core/net core/base
lua           : core/ssh core/net core/base
lua/place     : lua core/base
shell         : lua core/net core/base
'

# One TAP line: no output means the rule is kept.
rule() { # WHAT COMMAND...
    local what=$1 found
    shift
    found=$("$@")
    if [ -n "$found" ]; then
        sed 's/^/# /' <<<"$found"
    fi
    [ -z "$found" ]
    tap_line $? "$what"
}

sources() { # EXTENSION...
    local extension
    for extension in "$@"; do
        find core shell lua scripts packaging tests .ci -type f -name "*.$extension" 2>/dev/null
    done | sort
}

include_arrows() {
    local folder file included allowed
    for folder in core/* lua lua/place shell; do
        allowed=$(awk -v folder="$folder" '$1 == folder { $1 = $2 = ""; print }' <<<"$ARROWS")
        if ! grep -q "^$folder " <<<"$ARROWS"; then
            echo "$folder: not in the table of arrows in $0"
        fi
        while IFS=: read -r file included; do
            case $included in
            lua | shell | tests) ;;
            *) included=core/$included ;;
            esac
            if [ "$included" != "$folder" ] && [[ " $allowed " != *" $included "* ]]; then
                echo "$file includes $included/"
            fi
        done < <(grep -sHoE '^#include "[a-z_]+/' "$folder"/*.[ch] | sed 's/#include "//; s,/$,,')
    done
}

includes_are_rooted() {
    grep -nE '^#include "[^/]*"' $(sources c h)
}

long_lines() {
    awk -v most="$LINE_MAX" 'length > most && !/^\|/ && !/^core\/(daemon|ffdc|lpar) +:/ {
        print FILENAME ":" FNR ": " length " columns" }' \
        $(sources c h lua sh exp mk) Makefile README.md vios.1 CHANGES .ci/run
}

long_files() {
    wc -l $(sources c h lua sh exp) | awk -v most="$FILE_MAX" '
        $2 != "total" && $1 > most {
        print $2 ": " $1 " lines" }'
}

# name, file, first and last line of each C function.
functions() {
    ctags --output-format=json --fields=+ne --kinds-C=f --languages=C -f - \
        $(sources c) 2>/dev/null | jq -r 'select(.end) | [.path, .line, .end, .name] | @tsv'
}

long_functions() {
    local path first last name
    while IFS=$'\t' read -r path first last name; do
        if ((last - first + 1 > FUNCTION_MAX)) &&
            ! sed -n "$((first > 4 ? first - 4 : 1)),${first}p" "$path" |
            grep -q "dispatch \*/"; then
            echo "$path:$first: $name has $((last - first + 1)) lines"
        fi
    done < <(functions)
}

# Calls without a bound, and those that go through a shell or wait blindly.
unsafe_calls() {
    grep -nwE '(strcpy|strcat|sprintf|vsprintf|gets|system|popen|tmpnam|mktemp|alloca)[(]' \
        $(sources c h)
    grep -nwE '(usleep|sleep|atoi|rand|strtok)[(]' $(find core -name '*.[ch]')
}

# Core prints nothing: log.c writes the log, and the main programs may refuse to start.
printing_core() {
    grep -nwE '(printf|puts|putchar|perror|vprintf|stdout|stderr)' $(find core -name '*.c') |
        grep -vE '^core/(base/log|daemon/main|io/main)\.c:' |
        grep -vE ":[0-9]+: *(/?\*|//)" |
        grep -vE "__attribute__|\"[^\"]*(stdout|stderr)[^\"]*\"|/\*.*(stdout|stderr)"
}

unfinished() {
    grep -nwE 'TODO|FIXME|XXX|HACK' $(sources c h lua sh exp mk) Makefile README.md vios.1 |
        grep -v '^tests/rules/'
}

# A path of the machine where something was written works nowhere else.
machine_paths() {
    grep -nE '(^|[^A-Za-z0-9_.$}/-])/(work|home|root)/' $(sources c h lua sh exp mk md) Makefile \
        README.md vios.1 CHANGES .ci/run | grep -v '^tests/rules/'
}

purpose_first() {
    local file
    for file in $(sources c h); do
        head -n 1 "$file" | grep -q '^/\*' || echo "$file does not open with its purpose"
    done
    for file in $(sources lua); do
        head -n 2 "$file" | grep -qE '^(--|#!)' || echo "$file does not open with its purpose"
    done
}

unused_headers() {
    local header
    for header in $(find core lua shell tests -name '*.h'); do
        grep -qrF "\"${header#core/}\"" core lua shell tests --include='*.c' --include='*.h' ||
            echo "$header is included nowhere"
    done
}

# Everything below tests/ is run by the suite, or used by something that is.
unused_tests() {
    local file name
    for file in $(find tests/unit -name '*.c' ! -name 'test_*.c') \
        $(find tests/lua -name '*.lua' ! -name 'test_*.lua' 2>/dev/null) tests/tools/*.c; do
        name=$(basename "${file%.*}")
        [ ! -e "$file" ] || grep -qrw "$name" tests --include='*.sh' --include='*.exp' \
            --include='*.lua' --include='test_*.c' --include='*.mk' ||
            echo "$file is used by no test"
    done
    for file in $(find tests -name '*.sh' ! -path 'tests/*/lib.sh' ! -path 'tests/e2e/*' \
        ! -path 'tests/rules/*' ! -path 'tests/bench/*'); do
        grep -qrF "$(basename "$file")" tests Makefile --include='*.mk' --include='*.sh' \
            --include=Makefile || echo "$file is used by nothing"
    done
}

# A Lua file is a noun of the table, or somebody requires it.
unused_lua() {
    local file name
    for file in lua/*.lua; do
        name=$(basename "$file" .lua)
        grep -qE "\"$name\"|[\"']vios\.${name}[\"']|[.\"]$name\"" lua/*.lua lua/*.c shell/*.c ||
            echo "$file is required by nothing"
    done
}

untested_parsers() {
    local name
    for name in config parse rpc qmp command_line nbd keepalive certificate token datagram etcd \
        chunks storage_records ownership agent disk_header lpar_spec image_description \
        archive_member admission ring caller payload manifest alert hibernation move \
        place_function node_set; do
        [ -e "tests/fuzz/fuzz_$name.c" ] || compgen -G "tests/fuzz/fuzz_${name}*.c" >/dev/null ||
            echo "no fuzz target for $name"
    done
}

missing_in_readme() {
    local name
    while read -r name; do
        compgen -G "$name" >/dev/null || find core lua shell tests -path "*/$name" | grep -q . ||
            echo "README.md names $name, which is not there"
    done < <(grep -oE '`[^` ]+`' README.md | tr -d '`' | grep -E '/|\.(c|h|lua|sh|md|1)$' |
        grep -vE '^(build|/)')
}

configuration_in_manual() {
    sed -n 's/^    {"\([a-z_]*\)", CONFIG_.*/\1/p' core/base/config.c | while read -r key; do
        grep -q "^\.It Cm $key\$" vios.1 || echo "vios.1 does not describe the key $key"
    done
}

need ctags jq
rule "includes point down" include_arrows
rule "includes start at a root" includes_are_rooted
rule "lines have at most $LINE_MAX columns" long_lines
rule "files have at most $FILE_MAX lines" long_files
rule "functions have at most $FUNCTION_MAX lines" long_functions
rule "no banned calls" unsafe_calls
rule "core prints nothing" printing_core
rule "nothing is left to do" unfinished
rule "no path of one machine" machine_paths
rule "each file opens with its purpose" purpose_first
rule "each header is included" unused_headers
rule "each test is run" unused_tests
rule "each Lua file is required" unused_lua
rule "what parses outside bytes is fuzzed" untested_parsers
rule "README.md names what is there" missing_in_readme
rule "vios.1 has each configuration key" configuration_in_manual
finish

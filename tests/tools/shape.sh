#!/bin/bash
# How C code is cut, as a table: how long its functions and files are, and how much of it is
# comment, beside well-known programs (STYLE.md names them as models).
#
#   tests/tools/shape.sh                  this tree, a row for each folder, and the models
#   tests/tools/shape.sh NAME=FOLDER...   other trees, to measure a model again
#
# The models' rows are figures of this script, run on the folder and revision that each names.
# A function's length is what universal-ctags says, braces included. FILES are .c files; the
# share of comment counts lines that are nothing else, headers included, without blank lines.
set -euo pipefail

MODELS='
lua/lua           1304     10   27     0.8     40    429       35       21 . at 53b41d0c
dqlite            1149     15   56     7.1     82    194       46       18 src at 4ac95cde
openssh-portable  3499     18   73    10.7    303    214       52       17 . at 0ef0f5a83
nbdkit             328     14   57     6.4     30    173       43       19 server at 45b72f5b
tmux              2968     16   58     6.8    198    208       46       10 . at c1f947a3c
redis             4507     12   56     6.9    115    493       42       24 src at 4f8cdc2a1
'

HEAD='name functions median p90 over70% files median 100-500% comment%'

sources() { # FOLDERS ENDINGS: "core lua" ch
    # shellcheck disable=SC2086 # several folders in one word
    find $1 -name "*.[$2]" | LC_ALL=C sort
}

# The lengths of all functions, sorted.
function_lengths() {
    sources "$1" c | ctags --languages=C --kinds-C=f --fields=+ne -L - -f - --excmd=number |
        sed -nE 's/.*\tline:([0-9]+).*\tend:([0-9]+).*/\2 \1/p' |
        awk '{ print $1 - $2 + 1 }' | sort -n
}

file_lengths() {
    sources "$1" c | xargs -r wc -l | awk '$2 != "total" { print $1 }' | sort -n
}

# Reads sorted numbers: count, median, 90th percentile, % over 70, % in 100 to 500.
summary() {
    awk '{ v[NR] = $1; over += $1 > 70; fit += $1 >= 100 && $1 <= 500 }
        END { if (NR == 0) { print "0 0 0 0 0"; exit }
              printf "%d %d %d %.1f %.0f\n", NR, v[int((NR + 1) / 2)], v[int((NR * 9 + 9) / 10)],
                     100 * over / NR, 100 * fit / NR }'
}

comment_share() {
    sources "$1" ch | xargs -r cat | awk '
        /^[ \t]*$/ { next }
        { lines++ }
        inside || /^[ \t]*(\/\*|\/\/)/ { comment++ }
        /\/\*/ { inside = 1 }
        /\*\// { inside = 0 }
        END { printf "%.0f\n", lines ? 100 * comment / lines : 0 }'
}

row() { # NAME FOLDERS
    local count median p90 over files middle fit
    read -r count median p90 over _ < <(function_lengths "$2" | summary)
    read -r files middle _ _ fit < <(file_lengths "$2" | summary)
    echo "$1 $count $median $p90 $over $files $middle $fit $(comment_share "$2")"
}

table() {
    awk '{ printf "%-16s %9s %6s %4s %7s %6s %6s %8s %8s", $1, $2, $3, $4, $5, $6, $7, $8, $9
           for (i = 10; i <= NF; i++) printf " %s", $i
           print "" }'
}

if [ $# -gt 0 ]; then
    { echo "$HEAD"; for pair in "$@"; do row "${pair%%=*}" "${pair#*=}"; done; } | table
    exit
fi
cd "$(dirname "$0")/../.."
{
    echo "$HEAD"
    for folder in core/* lua shell; do
        row "$folder" "$folder"
    done
    row core+lua+shell "core lua shell"
    row tests tests
    echo "$MODELS" | grep .
} | table

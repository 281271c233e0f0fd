#!/bin/sh
# Which changes to a room no test notices, by mutmut, in a copy of the tree:
#
#   envs/mutants.sh PYTHON ROOM        (ROOM: a folder or module of src/needlework, without .py)
#
# Slow on purpose: every changed line runs the room's own tests, and the laws and second opinions that
# import it, until one fails. Started again it goes on; the copy is in results/mutants/ROOM.
set -eu
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1") room=$2
say() { echo "needlework: $*" >&2; }

if [ -d "src/needlework/$room" ]; then
    files="src/needlework/$room/*" own="tests/unit/$room"
elif [ -f "src/needlework/$room.py" ]; then
    files="src/needlework/$room.py" own="tests/unit/$(dirname "$room")/test_$(basename "$room").py"
else
    say "ROOM=$room is neither a folder nor a module of src/needlework;" \
        "try one of: $(cd src/needlework && echo */ | tr -d /)"
    exit 2
fi

# `from needlework.statistics import means` and `from needlework.statistics.means import ...`.
dotted=$(echo "$room" | tr / .)
named="needlework\.$dotted\b"
case $room in */*) named="$named|needlework\.${dotted%.*} import .*\b${dotted##*.}\b" ;; esac
tests=$(grep -rlE "$named" --include='test_*.py' tests/laws tests/reference || true)
[ ! -e "$own" ] || tests="$own $tests"
if [ -z "$tests" ]; then
    say "there is no $own, and no law imports needlework.$dotted; write one first"
    exit 2
fi

copy="results/mutants/$room"
mkdir -p "$copy"
git ls-files -z --cached --others --exclude-standard |
    tar --create --null --files-from=- --ignore-failed-read 2>/dev/null |
    tar --extract --directory="$copy"

{
    printf '[mutmut]\nsource_paths=src\nonly_mutate=%s\n' "$files"
    printf 'pytest_add_cli_args=\n    -p\n    no:cacheprovider\n    -p\n    no:xdist\n'
    printf 'pytest_add_cli_args_test_selection=\n'
    for test in $tests; do printf '    %s\n' "$test"; done
    printf 'also_copy=\n'
    for each in benchmarks config docs envs profiles reports resources tests workflow \
        CONTRIBUTING.md Makefile README.md Snakefile constraints.txt; do printf '    %s\n' "$each"; done
} > "$copy/setup.cfg"

cd "$copy"
say "tests of $room:" $tests
"$python" -m mutmut run --max-children "${JOBS:-2}"
say "changes that no test noticed; \`(cd $copy && $python -m mutmut show NAME)\` prints one:"
"$python" -m mutmut results

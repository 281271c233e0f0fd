#!/bin/sh
# What a machine with an NVIDIA GPU computes rightly, and how fast:
#
#   sh prove.sh OUTPUT [--minutes 12]
#
# The machine needs Python (of the version in the names of wheels/), its headers, torch, triton, a C++
# compiler and, for causal-conv1d, nvcc; no network. Everything else is installed from wheels/ into
# site/ beside this script and touches nothing else. OUTPUT/prove.md is the page, OUTPUT/prove.json
# the same for `needlework plan --measured`. What was killed or had no time goes on with the same
# command. PYTHON=/path/to/python names another Python than python3.
set -eu

bundle=$(cd "$(dirname "$0")" && pwd)
output=${1:?usage: sh prove.sh OUTPUT [--minutes 12]}
shift
python=${PYTHON:-python3}
site=$bundle/site

"$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)' || {
    echo "needlework: $python has no torch; name one that has with PYTHON=" >&2
    exit 2
}
if [ ! -d "$site" ]; then
    rm -rf "$site.part"
    PYTHONPATH=$(echo "$bundle"/wheels/pip-*.whl) "$python" -m pip install --quiet --no-index \
        --no-deps --no-warn-script-location --disable-pip-version-check \
        --target "$site.part" "$bundle"/wheels/*.whl
    mv "$site.part" "$site"
fi

mkdir -p "$output"
output=$(cd "$output" && pwd)
export PYTHONPATH="$site" PATH="$site/bin:$PATH"
export TRITON_CACHE_DIR="${TRITON_CACHE_DIR:-$output/triton}"
exec "$python" -c 'from needlework.cli import main; main()' prove --output "$output" \
    --causal-conv1d "$(echo "$bundle"/causal_conv1d-*.tar.gz)" "$@"

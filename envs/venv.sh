#!/bin/sh
# A virtual environment with the torch that this machine can use:
#
#   envs/venv.sh FOLDER CONSTRAINTS ARGUMENT...        (the arguments are those of `pip install`)
#
# PyPI's torch for Linux is the CUDA build, which brings CUDA's libraries: 2.99 GB to fetch in all.
# PyTorch's own index has one for CPUs: 0.45 GB in all. So where no NVIDIA driver is, torch alone comes
# from there first, if it is within reach; everything else comes from wherever pip is told to look.
#
#   PYTHON           what makes the environment; python3 unless set
#   CUDA             1: the CUDA build, 0: the one for CPUs; unset: the kind that FOLDER has already,
#                    in a new one the kind that the driver asks for
#   TORCH_CPU_INDEX  a mirror of PyTorch's index for CPUs
set -eu
folder=$1 constraints=$2
shift 2
python=${PYTHON:-python3}
index=${TORCH_CPU_INDEX:-https://download.pytorch.org/whl/cpu}
torch=$(sed -n 's/^torch==//p' "$constraints")

say() { echo "needlework: $*" >&2; }

# A Debian without python3-venv has no ensurepip: the pip beside the interpreter then fills FOLDER.
create() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        say "$python is older than Python 3.11; use make PYTHON=python3.11"
        exit 2
    }
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv "$folder"
    elif "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m venv --without-pip "$folder"
    else
        say "$python has neither venv nor pip; install python3-venv"
        exit 2
    fi
}

pip() {
    if "$folder/bin/python" -c 'import pip' 2>/dev/null; then
        "$folder/bin/python" -m pip "$@"
    else
        "$python" -m pip --python "$folder/bin/python" "$@"
    fi
}

# 1 for a CUDA build, 0 for one for CPUs, nothing where no torch is.
installed() {
    "$folder/bin/python" -c 'import importlib.metadata as installed
print(int(not installed.version("torch").endswith("+cpu")))' 2>/dev/null || true
}

wanted() {
    there=$(installed)
    if [ -n "${CUDA:-}" ]; then
        echo "$CUDA"
    elif [ -n "$there" ]; then
        echo "$there"
    elif [ -e /proc/driver/nvidia/version ] || command -v nvidia-smi >/dev/null 2>&1; then
        echo 1
    else
        echo 0
    fi
}

torch_for_cpus() {
    [ -n "${CUDA:-}" ] || say "no NVIDIA driver here, so torch for CPUs;" \
        "where jobs have GPUs and this machine has none, ask for the CUDA build with make CUDA=1"
    answer=$(pip install --quiet --no-deps --retries 1 --timeout 15 --index-url "$index" \
        "torch${torch:+==$torch+cpu}" 2>&1) || say "no torch from $index" \
        "($(echo "$answer" | tail -n 1)); the one of pip's own index takes its place," \
        "which may be the CUDA build of 2.99 GB"
}

case "${CUDA:-}" in
'' | 0 | 1) ;;
*)
    say "CUDA=$CUDA is neither 0 (torch for CPUs) nor 1 (the CUDA build)"
    exit 2
    ;;
esac
[ -x "$folder/bin/python" ] || create
if [ "$(uname -s)" = Linux ]; then
    if [ "$(wanted)" = 0 ]; then
        torch_for_cpus
    elif [ -n "$torch" ]; then
        # `torch==2.13.0` alone would accept 2.13.0+cpu, and prefer it.
        set -- "$@" "torch!=$torch+cpu"
    fi
fi
pip install -c "$constraints" "$@"
installed >"$folder/ready"

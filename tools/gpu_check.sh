#!/usr/bin/env bash
# Whether everything works on this machine's GPU, and how fast: one command, under nine minutes.
#
#   tools/gpu_check.sh [--parts env,tests,speed,demo] [--wheels wheels] [--out-dir work_dirs/gpu]
#                      [--archive FILE.tar.gz] [--device cuda|cpu] [--all] [--processes 8]
#                      [-- ARGUMENTS OF gpu_speed.py]
#
# It needs Python, PyTorch with CUDA and Triton, and no package index: what else is missing comes
# from a folder of wheels, which `make gpu-wheels` fills. Nothing is installed in the environment.
#
#   env     the card, the driver, the versions of packages
#   tests   the tests marked cuda: results are those of a CPU
#   speed   the tables of tools/analysis_tools/gpu_speed.py, where it is there
#   demo    a detector trained on the digits' images, to its AP
#
# A part that fails or takes too long does not stop the others. Each leaves its log in --out-dir,
# and summary.md is written anew after each. --archive packs the folder after each part, without
# checkpoints. What stands behind -- goes to gpu_speed.py, such as --tune: raise SPEED_LIMIT.
# --all runs every config of the swap list, and the published models in place of the digits', which
# takes longer: raise TESTS_LIMIT. --device cpu tries the script itself on a machine without a GPU.
# PYTHON names the interpreter. TESTS_LIMIT, SPEED_LIMIT and DEMO_LIMIT are seconds. The demo fails
# below an AP of LEAST_AP.
set -u

cd "$(dirname "$0")/.."
root=$PWD
parts=env,tests,speed,demo wheels=wheels out=work_dirs/gpu archive= device=cuda processes=8
pytest_options=() speed_options=()
python=${PYTHON:-python3}

fail() {
    echo "gpu_check: $1" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
        --parts | --wheels | --out-dir | --archive | --device | --processes)
            [ $# -gt 1 ] || fail "$1 needs a value."
            ;;
    esac
    case $1 in
        --parts) parts=$2 && shift ;;
        --wheels) wheels=$2 && shift ;;
        --out-dir) out=$2 && shift ;;
        --archive) archive=$2 && shift ;;
        --device) device=$2 && shift ;;
        --processes) processes=$2 && shift ;;
        --all) pytest_options+=(--all-swaps --published) ;;
        --) shift && speed_options=("$@") && break ;;
        -h | --help) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit ;;
        *) fail "no option is called $1 (see --help)." ;;
    esac
    shift
done
for part in ${parts//,/ }; do
    case $part in
        env | tests | speed | demo) ;;
        *) fail "--parts are of env, tests, speed and demo, got '$part'." ;;
    esac
done
[[ $device == cuda || $device == cpu ]] || fail "--device is cuda or cpu, got '$device'."
[[ $processes =~ ^[0-9]+$ ]] || fail "--processes is a number, got '$processes'."
# nothing is overwritten: an output folder with a summary is another run's
[ ! -e "$out/summary.md" ] || fail "$out holds another run: name another folder by --out-dir."
"$python" -c 'import torch' || fail "$python has no PyTorch: name another interpreter by PYTHON."
if [ "$device" = cuda ]; then
    "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
        fail 'PyTorch sees no GPU here (--device cpu tries the tests on a CPU).'
fi

mkdir -p "$out"
out=$(cd "$out" && pwd)
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT
if compgen -G "$wheels/*.whl" >/dev/null; then
    "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile \
        --target "$packages" "$wheels"/*.whl >"$out/packages.log" 2>&1 ||
        fail "the wheels of $wheels cannot be installed: see $out/packages.log"
    # once, on all cores, rather than by each process of the tests at once
    "$python" -m compileall -q -j 0 "$packages" >>"$out/packages.log" 2>&1
else
    echo "gpu_check: no wheels in $wheels: the packages must be installed already" >&2
fi
export PYTHONPATH=$root:$packages${PYTHONPATH:+:$PYTHONPATH}
export PYTHONDONTWRITEBYTECODE= PYTHONUNBUFFERED=1
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
# what a CUDA kernel is compiled into stays out of the home folder
export TRITON_CACHE_DIR=$packages/triton TORCHINDUCTOR_CACHE_DIR=$packages/inductor
export TORCHINDUCTOR_COMPILE_THREADS=2 # by each process of the tests

rows=()
failed=0

summarize() {
    {
        echo "# GPU check"
        echo
        [ ! -s "$out/env.log" ] || grep '^- ' "$out/env.log"
        echo
        echo "| part | result | seconds | words |"
        echo "|---|---|---|---|"
        printf '%s\n' "${rows[@]}"
    } >"$out/summary.md.part" && mv "$out/summary.md.part" "$out/summary.md"
    [ -z "$archive" ] || {
        tar --exclude '*.pth' -C "$(dirname "$out")" -czf "$archive.part" "$(basename "$out")" &&
            mv "$archive.part" "$archive"
    }
}

# part NAME SECONDS COMMAND...: run it, its output in NAME.log
part() {
    local name=$1 limit=$2 begin status result words
    shift 2
    echo "== $name (at most $limit s)"
    begin=$SECONDS
    # an interrupt, upon which pytest still says what failed
    timeout --signal INT --kill-after 15 "$limit" "$@" >"$out/$name.log" 2>&1
    status=$?
    case $status in
        0) result=passed ;;
        124 | 137) result="stopped after $limit s" ;;
        *) result="failed ($status)" ;;
    esac
    [ $status = 0 ] || failed=1
    words=$(grep -aE '^(=+ .*(passed|failed|error).* =+|AP [0-9.]+.*|- GPU.*)$' "$out/$name.log" |
        tail -n 1 | tr -d '=|' | sed 's/^ *//; s/ *$//')
    rows+=("| $name | $result | $((SECONDS - begin)) | $words |")
    [ $status = 0 ] || tail -n 15 "$out/$name.log"
    summarize
}

asked() { [[ ,$parts, == *,$1,* ]]; }

digits=
if asked demo && [ ! -f data/digits/digits.json ]; then # made while the GPU has other work
    "$python" tools/dataset_converters/digits.py --out-dir data/digits --tasks detection \
        >"$out/digits.log" 2>&1 &
    digits=$!
fi

if asked env; then
    part env 20 "$python" tools/analysis_tools/gpu_environment.py
fi

if asked tests; then
    options=(-m cuda --device "$device" -p no:cacheprovider --durations 15 -ra -v)
    "$python" -c 'import xdist' 2>/dev/null && options+=(-n "$processes" --dist worksteal)
    "$python" -c 'import pytest_timeout' 2>/dev/null && options+=(--timeout 90)
    part tests "${TESTS_LIMIT:-170}" "$python" -m pytest "${options[@]}" "${pytest_options[@]}" \
        --junitxml "$out/tests.xml" tests/cuda
fi

speed=tools/analysis_tools/gpu_speed.py
if asked speed && [ "$device" = cuda ] && [ -f "$speed" ]; then
    limit=${SPEED_LIMIT:-200} # it ends by itself before it is stopped, and tunes for the half of it
    part speed "$limit" "$python" "$speed" --out-dir "$out/speed" --seconds $((limit - 20)) \
        --tune-seconds $((limit / 2)) "${speed_options[@]}"
fi

if asked demo; then
    [ -z "$digits" ] || wait "$digits"
    part demo "${DEMO_LIMIT:-110}" "$python" tools/demo.py configs/digits/ssd_hardnet_digits.py \
        --work-dir "$out/demo" --least-ap "${LEAST_AP:-0.70}"
    rm -f "$out"/demo/*.pth # megabytes that tell nothing
fi

summarize
echo
cat "$out/summary.md"
exit "$failed"

#!/usr/bin/env bash
# requirements/install.sh STACK VENV: the packages of requirements/STACK.txt and this project, into
# the virtual environment VENV. PYTHON names the interpreter, if not the first that fits.
# Where there is a requirements/STACK.lock, it takes files of its hashes alone.
set -eu

stack=$1
venv=$2
here=$(dirname "$0")
log=$venv/install.log

fail() {
    echo "hardnet_mm: $1" >&2
    exit 1
}

case $stack in
    onedl | docs) newest=12 ;;
    openmmlab) newest=11 ;; # torch 2.1.2 has no wheels for Python 3.12
    *) fail "STACK must be onedl, openmmlab or docs, got '$stack'." ;;
esac

fits() {
    "$1" -c "import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, $newest))" 2>/dev/null
}
for python in ${PYTHON:-python3 python python3.11 python3.12 python3.10} none; do
    fits "$python" && break
done
[ "$python" != none ] || fail "no Python 3.10 to 3.$newest with venv found${PYTHON:+ at PYTHON=$PYTHON}: install one, or name it by make PYTHON=/path/to/python3.11."

rm -rf "$venv"
"$python" -m venv "$venv"
echo "Installing the $stack stack into $venv, a few minutes; the log is $log"

install() {
    # what is imported is compiled then, and the rest of some 30,000 files never
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-compile "$@" >>"$log" 2>&1 ||
        fail "installation failed ($(grep '^ERROR' "$log" | tail -n 1)): check that the package index is reachable and the disk has room (log: $log), then run make again."
}

packages=$here/$stack.txt
[ ! -e "$here/$stack.lock" ] || packages=$here/$stack.lock # pip asks for hashes where it finds one
install -r "$packages"
if [ "$stack" = docs ]; then # which reads this project, and does not import it
    touch "$venv/.installed"
    exit
fi
if [ "$stack" = openmmlab ]; then
    # No wheel for this Python, no compiled operators: then pip builds them, which takes minutes.
    # Its setup.py imports the installed torch, so the build must see this environment.
    export MMCV_WITH_OPS=1
    install --no-build-isolation --no-deps mmcv==2.1.0
fi
# Two wheels of the stack hold the same cv2; the last one wins, and the headless one needs no libGL.
awk '/^opencv-python-headless==/ {on = 1} on; on && !/\\$/ {exit}' "$packages" >"$venv/headless.txt"
[ ! -s "$venv/headless.txt" ] || install --force-reinstall --no-deps -r "$venv/headless.txt"
install --no-build-isolation --no-deps --editable "$here/.."
# mmcv's operators for the toolboxes' own scripts, too; nothing where this mmcv has compiled ones.
"$venv/bin/python" -m hardnet_mm.compat install >>"$log" 2>&1 ||
    fail "mmcv's operators could not be put in place (log: $log)."
touch "$venv/.installed"

#!/usr/bin/env bash
# requirements/wheels.sh FOLDER [PYTHON_VERSION]: the wheels of requirements/gpu.txt, in the versions
# of requirements/onedl.txt, into a folder, for a Linux machine on x86-64 without a package index.
# PYTHON names an interpreter with pip.
set -eu

folder=$1
version=${2:-3.12}
here=$(dirname "$0")
python=${PYTHON:-python3}
constraints=$here/onedl.txt
names=$(sed 's/#.*//' "$here/gpu.txt")

fail() {
    echo "hardnet_mm: $1" >&2
    exit 1
}

[[ $version =~ ^3\.[0-9]+$ ]] || fail "the version of Python must be like 3.12, got '$version'."
rm -rf "$folder.part"
mkdir -p "$folder.part"
pip() {
    "$python" -m pip "$@" --quiet --disable-pip-version-check --no-deps \
        --constraint "$constraints" 2>"$folder.part/log" ||
        fail "pip $1 failed: $(grep '^ERROR' "$folder.part/log" | tail -n 1)"
}

platforms=()
for platform in manylinux_2_28 manylinux_2_24 manylinux_2_17 manylinux2014; do
    platforms+=(--platform "${platform}_x86_64")
done
# The toolboxes come as sources, which hold no compiled code.
toolboxes=$(grep '^onedl-' <<<"$names")
others=$(grep -v '^onedl-' <<<"$names")
pip wheel --wheel-dir "$folder.part" $toolboxes
pip download --dest "$folder.part" --only-binary=:all: --implementation cp \
    --python-version "$version" --abi "cp${version/./}" --abi abi3 --abi none \
    "${platforms[@]}" --platform any $others
rm "$folder.part/log"
for wheel in "$folder.part"/onedl_*.whl; do
    [[ $wheel == *-py3-none-any.whl ]] || fail "$wheel is for this machine alone."
done
rm -rf "$folder"
mv "$folder.part" "$folder"
echo "$folder: $(ls "$folder" | wc -l) wheels, $(du -sh "$folder" | cut -f1)"

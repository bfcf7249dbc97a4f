#!/usr/bin/env bash
# requirements/lock.sh STACK: requirements/STACK.lock, the versions of STACK.txt with the hash of every
# file that the package index has of them. It wants uv: pip install uv.
set -eu

stack=$1
here=$(dirname "$0")
uv pip compile --universal --python-version 3.10 --no-deps --generate-hashes \
    --no-header --no-annotate --quiet "$here/$stack.txt" --output-file "$here/$stack.lock.part"
mv "$here/$stack.lock.part" "$here/$stack.lock"
echo "$here/$stack.lock: $(grep -c == "$here/$stack.lock") packages"

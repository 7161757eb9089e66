#!/bin/sh
# Writes the lock files from pyproject.toml: for every platform and Python from 3.11, with hashes.
set -eu
uv=$1
case $uv in
    /*) ;;
    */*) uv=$PWD/$uv ;; # we leave the directory that it is relative to
esac
cd "$(dirname "$0")"
# Extras stay in the names: an older pip takes the newest version for `name[extra]` where the file holds `name` alone.
compile() { "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-strip-extras "$@"; }
compile ../pyproject.toml --output-file runtime.lock
printf 'hatchling>=1.27,<2\neditables>=0.5,<1\n' | compile - --output-file build.lock
compile ../pyproject.toml --all-extras --output-file extras.lock
compile ../pyproject.toml --all-extras --group ../pyproject.toml:dev --output-file dev.lock
printf 'check-jsonschema>=0.39,<0.40\nhadolint-bin>=2.15,<2.16\nkubernetes-validate>=1.37,<1.38\n' | compile - --output-file linters.lock

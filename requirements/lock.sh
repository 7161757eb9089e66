#!/bin/sh
# Writes the three lock files from pyproject.toml: for every platform and Python from 3.11, with hashes.
set -eu
uv=$1
cd "$(dirname "$0")"
compile() { "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url "$@"; }
compile ../pyproject.toml --output-file runtime.lock
printf 'hatchling>=1.27,<2\neditables>=0.5,<1\n' | compile - --output-file build.lock
compile ../pyproject.toml --group ../pyproject.toml:dev --output-file dev.lock

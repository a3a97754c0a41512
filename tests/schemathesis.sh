#!/usr/bin/env bash
# Asks every route of the OpenAPI document with requests that nobody here thought of: PyPI's
# Schemathesis, against `warden local` with its demo. On loopback; takes about a minute.
# SCHEMATHESIS_SEED makes it ask others.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
# The whole workspace, so that features are those of the other builds and nothing
# is built twice.
cargo build --workspace --locked
python=$(python schemathesis schemathesis==4.32.5)
timeout "${SCHEMATHESIS_TIMEOUT:-600}" "$python/bin/python" tests/schemathesis/test.py \
  "$python/bin/schemathesis" "${CARGO_TARGET_DIR:-$PWD/target}/debug/warden"

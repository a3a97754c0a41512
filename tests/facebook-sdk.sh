#!/usr/bin/env bash
# Calls through the proxy by a client library that nobody here wrote:
# `facebook_business` from PyPI, as it is, against `warden local` with its demo. On
# loopback; takes some ten seconds.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
# The whole workspace, so that features are those of the other builds and nothing
# is built twice.
cargo build --workspace --locked
python=$(python facebook-sdk facebook_business==26.0.3)
timeout "${FACEBOOK_SDK_TIMEOUT:-120}" "$python/bin/python" tests/facebook-sdk/test.py \
  "${CARGO_TARGET_DIR:-target}/debug/warden"

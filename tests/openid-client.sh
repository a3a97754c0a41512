#!/usr/bin/env bash
# Signs in at the local issuer with a client that nobody here wrote: npm's openid-client,
# against `warden local` with its demo. On loopback; takes some ten seconds. Needs Node 20.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
# The whole workspace, so that features are those of the other builds and nothing
# is built twice.
cargo build --workspace --locked
home=$(npm_packages openid-client)
cp tests/openid-client/test.mjs "$home/"
timeout "${OPENID_CLIENT_TIMEOUT:-120}" node "$home/test.mjs" "${CARGO_TARGET_DIR:-$PWD/target}/debug/warden"

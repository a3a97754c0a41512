#!/usr/bin/env bash
# Uses the dashboard's page in Chromium, on `warden local` with its demo: what people do there,
# and whether everybody can. On loopback; takes about a minute. Needs Node 20, and Chromium or
# Debian's apt-get. Screenshots go to target/browser. With PAGE=functions/api/page the browser gets
# the page's files as they are there, without a build.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
chromium=/usr/bin/chromium
if [ ! -x "$chromium" ]; then
  log=$(mktemp)
  if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes chromium; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "there is no $chromium, and apt-get could not install Debian's: install it" >&2
    exit 1
  fi
  rm "$log"
fi
# The whole workspace, so that features are those of the other builds and nothing
# is built twice.
cargo build --workspace --locked
home=$(npm_packages browser)
cp tests/browser/*.mjs "$home/"
target=${CARGO_TARGET_DIR:-$PWD/target}
timeout "${BROWSER_TIMEOUT:-600}" node "$home/test.mjs" "$target/debug/warden" "$chromium" "$target/browser"

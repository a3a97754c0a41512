#!/usr/bin/env bash
# Uses the dashboard's page in Chromium, on `warden local` with its demo: what people do there,
# and whether everybody can. On loopback; takes some two minutes. Needs Node 20, and Chromium or
# Debian's apt-get. Screenshots go to target/browser. With PAGE=functions/api/page the browser gets
# the page's files as they are there, without a build.
#
#     tests/browser.sh             # tests the page
#     tests/browser.sh --figures   # how long it takes with many integrations
#     tests/browser.sh --pictures  # makes the pictures of the README anew
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
provider=$(npm_packages oidc-provider)
cp tests/browser/*.mjs "$home/"
target=${CARGO_TARGET_DIR:-$PWD/target}
run() { timeout "${BROWSER_TIMEOUT:-600}" node "$home/$1" "$target/debug/warden" "$chromium" "${@:2}"; }
case ${1-} in
"") run test.mjs "$target/browser" "$provider" ;;
--figures) run figures.mjs ;;
--pictures) run pictures.mjs docs/images ;;
*)
  echo "usage: tests/browser.sh [--figures | --pictures]" >&2
  exit 2
  ;;
esac

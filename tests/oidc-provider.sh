#!/usr/bin/env bash
# Refreshes against an authorization server that nobody here wrote: npm's
# oidc-provider, with refresh-token rotation, on loopback. Installed into target/
# once, by npm; needs Node 20 or later.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
home=$(npm_packages oidc-provider)
cp tests/oidc-provider/server.mjs "$home/"

# What takes long does so before the server runs. The whole workspace, so that
# features are those of the other builds and nothing is built twice.
cargo test --workspace --test it --locked --no-run

: >"$home/address"
node "$home/server.mjs" >"$home/address" 2>"$home/log" &
server=$!
stop() {
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# It says where it is once it listens.
for ((tries = 0; ; tries++)); do
  if read -r OIDC_PROVIDER <"$home/address"; then break; fi
  if ! kill -0 "$server" 2>/dev/null || [ "$tries" -ge 150 ]; then
    tail -20 "$home/log" >&2
    echo "oidc-provider did not start" >&2
    exit 1
  fi
  sleep 0.2
done
export OIDC_PROVIDER
echo "oidc-provider $(node -p 'require(process.argv[1]).version' "$home/node_modules/oidc-provider/package.json")"
timeout "${OIDC_PROVIDER_TIMEOUT:-900}" cargo test --workspace --test it --locked independent -- \
  --ignored --nocapture 2>&1 | tee "$home/tests.log"
if ! grep -Eq '^test result: ok\. [1-9][0-9]* passed' "$home/tests.log"; then
  echo "no test ran" >&2
  exit 1
fi

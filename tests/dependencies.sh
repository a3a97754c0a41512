#!/usr/bin/env bash
# What we depend on: licences, bans and sources by deny.toml, nothing that is not
# used, and no local stack in the operator's tool. Advisories need their database
# from the network:
#   cargo deny check advisories
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
"$(cargo_deny)/bin/cargo-deny" --locked check licenses bans sources
"$(cargo_shear)/bin/cargo-shear"

# `warden` for AWS alone links nothing of the local stack.
linked=$(cargo tree -p cli --no-default-features -e normal --prefix none --locked)
if grep -E '^(local|edge|api|platform-calls|notify|rate-limit-authorizer|dynoxide-rs|libsqlite3-sys|axum|jsonwebtoken) ' <<<"$linked"; then
  echo "the operator's tool links these" >&2
  exit 1
fi

#!/usr/bin/env bash
# What we depend on: licences, bans and sources by deny.toml, and nothing that
# is not used. Advisories need their database from the network:
#   cargo deny check advisories
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
"$(cargo_deny)/bin/cargo-deny" --locked check licenses bans sources
"$(cargo_shear)/bin/cargo-shear"

#!/usr/bin/env bash
# Lints infra/template.yaml with cfn-lint, installed into target/.
set -euo pipefail
cd "$(dirname "$0")/.."
version=1.58.0
venv=target/cfn-lint-$version
if ! [ -x "$venv/bin/cfn-lint" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet "cfn-lint==$version"
fi
"$venv/bin/cfn-lint" infra/template.yaml
echo "cfn-lint $version: no findings in infra/template.yaml"

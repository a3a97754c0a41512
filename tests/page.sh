#!/usr/bin/env bash
# Reads the scripts of the dashboard's page: their types with TypeScript, eslint, prettier,
# and whether what is vendored is what npm has. The last two also read the page's tests. Takes
# some ten seconds. Needs Node 20.19.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
page=functions/api/page
home=$(npm_packages page)
# The packages lie beside the copy, where the checks look for them.
rm -rf "$home/page" "$home/browser"
cp -r "$page" tests/browser tests/page/tsconfig.json tests/page/eslint.config.mjs "$home/"
cp tests/page/vendor/* "$home/page/vendor/"

passed=0
check() {
  local name=$1
  shift
  if ! (cd "$home" && "$@"); then
    echo "$name: failed" >&2
    exit 1
  fi
  echo "$name: ok"
  passed=$((passed + 1))
}

# vendored NAME FILE: but for the address of a source map, and where Preact lies.
vendored() {
  sed -e 's#"preact"#"./preact.mjs"#' -e '/^\/\/# sourceMappingURL=/d' "node_modules/$2" |
    cmp - "page/vendor/$1"
}

check types node_modules/.bin/tsc
check lints node_modules/.bin/eslint --max-warnings 0 'page/*.mjs' 'browser/*.mjs'
check formatting node_modules/.bin/prettier --log-level warn --print-width 100 --check \
  'page/*.mjs' 'browser/*.mjs'
check "vendored preact" vendored preact.mjs preact/dist/preact.mjs
check "vendored hooks" vendored hooks.mjs preact/hooks/dist/hooks.mjs
check "vendored htm" vendored htm.mjs htm/dist/htm.mjs
echo "$passed passed, 0 failed"

#!/usr/bin/env bash
# Fuzzes what reads foreign bytes, each target for FUZZ_SECONDS (10); for hours:
#   FUZZ_SECONDS=14400 tests/fuzz.sh answer
# Stable Rust, so without sanitizers; needs a C++ compiler for libFuzzer. What
# is found stays in fuzz/artifacts, and new inputs in target/fuzz-corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
PATH=$(cargo_fuzz)/bin:$PATH
[ $# -gt 0 ] || set -- answer identity import payload quota_item template
run=(--sanitizer none --target-dir target/fuzz)
cargo fuzz build "${run[@]}"
mkdir -p target/fuzz-corpus/template target/fuzz-corpus/payload
cp infra/template.yaml target/fuzz-corpus/template/
cp events/*.json target/fuzz-corpus/payload/
for target in "$@"; do
  mkdir -p "target/fuzz-corpus/$target"
  echo "fuzz $target"
  cargo fuzz run "${run[@]}" "$target" "target/fuzz-corpus/$target" "fuzz/corpus/$target" -- \
    -max_total_time="${FUZZ_SECONDS:-10}" -timeout=10 -rss_limit_mb=4096 -dict=fuzz/json.dict -verbosity=0 \
    -print_final_stats=1 2>&1 | grep -v '^INFO\|^Dictionary\|Finished\|Running' | tail -60
done

#!/usr/bin/env bash
# Measures the quota limiter beside npm's rate-limiter-flexible on one engine:
# the embedded one, or the one that DYNAMODB_ENDPOINT names, such as with
# `tests/dynamodb-local.sh tests/quota-benchmark.sh`. Takes two minutes.
# PROFILE=release measures an optimised build, at the price of building it.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$PWD/target/quota-benchmark
mkdir -p "$home"
if ! cmp -s tests/quota-benchmark/package-lock.json "$home/package-lock.json" ||
  ! [ -f "$home/complete" ]; then
  rm -f "$home/complete"
  cp tests/quota-benchmark/package.json tests/quota-benchmark/package-lock.json "$home/"
  npm ci --prefix "$home" --no-audit --no-fund --silent
  touch "$home/complete"
fi
cp tests/quota-benchmark/contender.mjs "$home/"
QUOTA_BENCHMARK_CONTENDER=$home/contender.mjs \
  cargo bench --profile "${PROFILE:-dev}" -p tests --bench quota --locked

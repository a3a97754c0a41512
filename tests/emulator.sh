#!/usr/bin/env bash
# Deploys what `tests/sam-build.sh` builds, from infra/template.yaml, by
# CloudFormation into a local AWS (`ministack` from PyPI), and uses it: import,
# schedule, refresh, alert, notification, dashboard, permits until denied, a
# killed function, an update, a consent; and once more without an issuer, where people and
# machines sign in by the stack's own user pool. On loopback; takes some four
# minutes.
#
# Where the emulator falls short of AWS, tests/emulator/stack.py says so.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
# What is there is taken if it is of the sources as they are.
for function in CheckTokens Notify RateLimitAuthorizer Api PlatformCalls; do
  built=.aws-sam/build/${function}Function/bootstrap
  if ! [ -x "$built" ] || [ -n "$(find functions edge shared Cargo.lock -newer "$built" -type f -print -quit)" ]; then
    tests/sam-build.sh
    break
  fi
done
# The command that imports, and whose simulated platforms the functions call.
cargo build --workspace --locked
python=$(python emulator ministack==1.5.33 aws-sam-translator==1.115.0 cryptography==46.0.3 boto3==1.43.106 pyyaml==6.0.4)
timeout "${EMULATOR_TIMEOUT:-900}" "$python/bin/python" tests/emulator/test.py .aws-sam/build

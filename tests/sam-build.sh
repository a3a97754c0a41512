#!/usr/bin/env bash
# Builds the five functions as `sam build` does for a deployment, from
# Cargo.lock alone, and prints how large they are.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
limit=6000000 # bytes, zipped

PATH=$(cargo_lambda)/bin:$PATH
# For this machine's processor, which needs no cross compiler. (cargo-lambda's
# default is zig, which comes with it and makes the same run on older systems.)
export CARGO_LAMBDA_COMPILER=cargo SAM_CLI_TELEMETRY=0
# Neither SAM nor cargo-lambda pass --locked: a lock that does not fit is an
# error here, and one that was changed below.
cargo metadata --locked --format-version 1 >/dev/null
before=$(sha256sum Cargo.lock)
"$(sam_cli)/bin/sam" build --template infra/template.yaml
[ "$before" = "$(sha256sum Cargo.lock)" ] || {
  echo "the build changed Cargo.lock" >&2
  exit 1
}

python3 - "$limit" <<'PYTHON'
import io, pathlib, re, sys, zipfile
limit, failed = int(sys.argv[1]), False
built = sorted(pathlib.Path(".aws-sam/build").glob("*/bootstrap"))
# What Lambda's provided.al2023 has: Amazon Linux 2023's.
newest = 34
print(f"{'function':<30}{'binary':>12}{'zipped':>12}  bytes, needs")
for path in built:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.write(path, "bootstrap")
    size = len(zipped.getvalue())
    glibc = max(int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", path.read_bytes()))
    failed |= size > limit or glibc > newest
    print(f"{path.parent.name:<30}{path.stat().st_size:>12,}{size:>12,}  glibc 2.{glibc}")
if len(built) != 5:
    sys.exit(f"{len(built)} functions were built, not five")
if failed:
    sys.exit(f"larger than {limit:,} bytes, or of a newer glibc than 2.{newest}")
PYTHON

# cargo-lambda alone makes the same of it, byte for byte. One function is linked anew,
# with everything that link-time optimisation decides; for all, it would take as long
# as the build above.
rm -rf target/sam-built target/lambda
cp -a .aws-sam/build target/sam-built
linked=$(uname -m)-unknown-linux-gnu/release/deps/notify
# cargo-lambda moves what it was linked to; cargo has it here. It must be there, or
# nothing would be linked anew.
compgen -G "target/$linked-*" >/dev/null || {
  echo "target/$linked-* does not exist" >&2
  exit 1
}
rm -f "target/$linked"-*
infra/cargo-lambda-build.sh
for bootstrap in target/sam-built/*/bootstrap; do
  cmp "$bootstrap" ".aws-sam/build/$(basename "$(dirname "$bootstrap")")/bootstrap"
done
"$(sam_cli)/bin/sam" validate --template .aws-sam/build/template.yaml --region eu-central-1 >/dev/null
echo "built again by infra/cargo-lambda-build.sh: the same bytes"

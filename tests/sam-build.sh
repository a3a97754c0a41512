#!/usr/bin/env bash
# Builds the four functions as `sam build` does for a deployment, from
# Cargo.lock alone, and prints how large they are.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
limit=6000000 # bytes, zipped

PATH=$(cargo_lambda)/bin:$PATH
# For this machine's processor, which needs no cross compiler.
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
import io, pathlib, sys, zipfile
limit, failed = int(sys.argv[1]), False
built = sorted(pathlib.Path(".aws-sam/build").glob("*/bootstrap"))
print(f"{'function':<30}{'binary':>12}{'zipped':>12}  bytes")
for path in built:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.write(path, "bootstrap")
    size = len(zipped.getvalue())
    failed |= size > limit
    print(f"{path.parent.name:<30}{path.stat().st_size:>12,}{size:>12,}")
if len(built) != 4:
    sys.exit(f"{len(built)} functions were built, not four")
if failed:
    sys.exit(f"larger than {limit:,} bytes")
PYTHON

# The same bytes again: a function is linked anew from what was compiled, with
# everything that link-time optimisation decides.
first=$(sha256sum <.aws-sam/build/NotifyFunction/bootstrap)
rm -f target/*-unknown-linux-gnu/release/notify target/*-unknown-linux-gnu/release/deps/notify-*
cargo lambda build --release --locked --bin notify --lambda-dir target/again
[ "$first" = "$(sha256sum <target/again/notify/bootstrap)" ] || {
  echo "notify was built twice, and differs" >&2
  exit 1
}
echo "notify, built again: the same bytes"

#!/usr/bin/env bash
# What `sam build` does, by cargo-lambda alone: builds the functions and lays
# them out in .aws-sam/build, from where `sam deploy` takes them. Arguments go to
# cargo-lambda: --arm64 (with the parameter Architecture=arm64), --compiler cargo.
set -euo pipefail
cd "$(dirname "$0")/.."
# The template names the functions.
mapfile -t binaries < <(sed -n 's/.*Binary: \([a-z-]*\)}.*/--bin=\1/p' infra/template.yaml)
cargo lambda build --release --locked "${binaries[@]}" "$@"
python3 - <<'PYTHON'
import pathlib, re, shutil
build = pathlib.Path(".aws-sam/build")
shutil.rmtree(build, ignore_errors=True)
template = pathlib.Path("infra/template.yaml").read_text()
# Each function's code in a folder of its name, in place of the workspace.
template = template.replace("    CodeUri: ../\n", "")
function = re.compile(
    r"^  (\w+):\n    Type: AWS::Serverless::Function\n    Metadata:\n.*?Binary: ([\w-]+)\}\n    Properties:\n",
    re.M | re.S,
)
for name, binary in function.findall(template):
    (build / name).mkdir(parents=True)
    shutil.copy(pathlib.Path("target/lambda") / binary / "bootstrap", build / name)
template = function.sub(lambda found: f"{found[0]}      CodeUri: {found[1]}\n", template)
(build / "template.yaml").write_text(template)
print("built in .aws-sam/build:", *sorted(of.name for of in build.iterdir()))
PYTHON

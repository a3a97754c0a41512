#!/usr/bin/env bash
# Checks infra/template.yaml: SAM's own validation, cfn-lint with its
# informational rules, what depends on what, and checkov. Nothing is found, or
# the reason why a rule does not apply stands beside what it is about.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
export SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-central-1 # sam wants a region, whichever

sam=$(sam_cli)/bin
"$sam/sam" validate --lint --template infra/template.yaml
# The same cfn-lint that sam brings.
"$sam/cfn-lint" --include-checks I -- infra/template.yaml
echo "cfn-lint: no findings"
"$sam/python" tests/template/translated.py

checkov=$(python checkov checkov==3.3.30)/bin/checkov
report=$tools/checkov.json
found=0
"$checkov" --file infra/template.yaml --framework cloudformation --skip-download \
  --output json >"$report" 2>"$tools/checkov.log" || found=$?
# It succeeds on a template that it cannot read, too.
python3 - "$report" <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
summary = report["summary"]
print("checkov:", ", ".join(f"{summary[of]} {of.replace('_', ' ')}" for of in
      ("passed", "failed", "skipped", "parsing_errors")))
for failed in report["results"]["failed_checks"]:
    print(f"  {failed['check_id']} {failed['resource']}: {failed['check_name']}")
for skipped in report["results"]["skipped_checks"]:
    if not (skipped["check_result"].get("suppress_comment") or "").strip():
        sys.exit(f"{skipped['check_id']} {skipped['resource']}: skipped without a reason")
if summary["failed"] or summary["parsing_errors"] or not summary["passed"]:
    sys.exit(1)
PYTHON
[ "$found" -eq 0 ] || { cat "$tools/checkov.log" >&2; exit 1; }

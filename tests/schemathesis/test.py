"""Asks every route of `/openapi.json` what Schemathesis thinks of, with and without a token.
Its checks: no 5xx, and no answer that the document does not describe."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

SCHEMATHESIS, WARDEN = sys.argv[1:3]
HERE = pathlib.Path(__file__).parent
#: The least cases of both runs together.
CASES = 5_000
SEED = int(os.environ.get("SCHEMATHESIS_SEED", "20261127"))
#: The proxy and the permits answer more than 429.
QUOTAS = {"meta": {"limit": 1_000_000, "period": 3_600, "burst": 100_000}}


class Local:
    """A `warden local` with its demo."""

    def __init__(self, home):
        self.options = ["--local", "--data-dir", str(home / "warden")]
        command = [
            WARDEN, "local", "--json", "--port", "0", "--dynamodb-port", "0", *self.options[1:],
            "--parameter", "QuotaPolicies=" + json.dumps(QUOTAS),
        ]
        with open(home / "local.log", "wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        self.gateway = json.loads(self.process.stdout.readline())["addresses"]["gateway"]

    def token(self, user):
        command = [WARDEN, "token", "--user", user, *self.options]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


def ask(name, gateway, home, *more):
    """Runs Schemathesis; returns what it reports, if every answer was as the document says."""
    report = home / "report.json"
    command = [
        SCHEMATHESIS, "--config-file", str(HERE / "schemathesis.toml"), "run", f"{gateway}/openapi.json",
        "--max-examples", "60", "--seed", str(SEED), "--continue-on-failure", "--warnings", "off",
        "--report", "json", "--report-json-path", str(report), *more,
    ]
    run = subprocess.run(command, capture_output=True, text=True, cwd=home)
    if run.returncode != 0:
        print(run.stdout, run.stderr)
        print(f"{name}: failed, with the seed {SEED}")
        return None
    found = json.loads(report.read_text())
    assert found["operations"]["tested"] == found["operations"]["total"], found["operations"]
    phases = {name: phase["status"] for name, phase in found["phases"].items()}
    assert set(phases.values()) == {"success"}, phases
    print(f"{name}: ok, {found['test_cases']['generated']:,} cases of {found['operations']['tested']} operations")
    return found


with tempfile.TemporaryDirectory() as home:
    home = pathlib.Path(home)
    local = Local(home)
    try:
        bearer = "Authorization: Bearer " + local.token("olga")
        runs = [
            ask("with a token", local.gateway, home, "--header", bearer),
            ask("without a token", local.gateway, home),
        ]
    finally:
        local.stop()
found = [run for run in runs if run]
cases = sum(run["test_cases"]["generated"] for run in found)
print(f"{cases:,} cases\n{len(found)} passed, {len(runs) - len(found)} failed")
sys.exit(len(found) < len(runs) or cases < CASES)

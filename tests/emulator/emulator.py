"""ministack, started on loopback with nothing of ours in its environment."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

REGION = "eu-central-1"
START = pathlib.Path(__file__).with_name("start.py")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, seconds, condition):
    """Polls until a condition holds, and returns what it returned."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.5)
    raise SystemExit(f"not within {seconds} s: {what}")


class Emulator:
    def __init__(self, home):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (home / "tmp").mkdir()
        environment = {
            # Functions inherit all of this.
            "PATH": os.environ["PATH"],
            "TMPDIR": str(home / "tmp"),
            "STATE_DIR": str(home / "state"),
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            # The functions' policies count.
            "AUTH": "true",
            # No listeners besides.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",
            "PYTHONUNBUFFERED": "1",
        }
        log = open(home / "emulator.log", "ab")
        self.process = subprocess.Popen([sys.executable, START], env=environment, stdout=log, stderr=log)
        wait_for("the emulator answers", 60, self.answers)

    def answers(self):
        if self.process.poll() is not None:
            raise SystemExit(f"the emulator ended with {self.process.returncode}")
        try:
            return urllib.request.urlopen(f"{self.url}/_ministack/ready", timeout=2).status == 200
        except OSError:
            return False

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(s3={"addressing_style": "path"}),
        )

    def kill_functions(self):
        """Ends what runs of the functions, as a sandbox that dies does; how many."""
        killed = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, parent = int(stat.parent.name), int(stat.read_text().rsplit(")", 1)[1].split()[1])
                is_function = b"bootstrap" in (stat.parent / "cmdline").read_bytes()
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and is_function:
                os.kill(pid, signal.SIGKILL)
                killed += 1
        return killed

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

"""Uses the deployed stack as a company would, and says what it saw."""

import base64
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from consent import Person
from emulator import REGION, Emulator, wait_for
from stack import Stack
from user_pool import UserPool

ISSUER, AUDIENCE = "https://issuer.test", "warden"
WARDEN = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "debug", "warden")


def say(what):
    print(f"{time.monotonic() - BEGAN:6.1f} s  {what}", flush=True)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An OpenID issuer whose key the stack is given."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        numbers = self.key.public_key().public_numbers()
        self.jwks = json.dumps({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one",
            "x": base64url(numbers.x.to_bytes(32, "big")),
            "y": base64url(numbers.y.to_bytes(32, "big")),
        }]})

    def token(self, user):
        now = int(time.time())
        parts = [
            {"alg": "ES256", "kid": "one", "typ": "JWT"},
            {"iss": ISSUER, "aud": AUDIENCE, "sub": user, "iat": now, "exp": now + 3600},
        ]
        signed = ".".join(base64url(json.dumps(part).encode()) for part in parts)
        r, s = decode_dss_signature(self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class Platforms:
    """The simulated platforms of a `warden local`, used for nothing else."""

    def __init__(self, home):
        self.home = home / "local"
        log = open(home / "local.log", "wb")
        command = [WARDEN, "local", "--no-demo", "--port", "0", "--dynamodb-port", "0"]
        self.process = subprocess.Popen(
            [*command, "--data-dir", str(self.home)], stdout=log, stderr=log
        )
        addresses = self.home / "local.json"
        wait_for("the simulated platforms", 60, addresses.exists)
        self.url = json.loads(addresses.read_text())["platforms"]
        self.credentials = (self.home / "platforms.json").read_text()
        functions = (self.home / "functions.env").read_text().splitlines()
        endpoints = next(line for line in functions if line.startswith("PLATFORM_ENDPOINTS="))
        self.endpoints = endpoints.split("=", 1)[1].strip("'")

    def control(self, script):
        body = json.dumps(script).encode() if script else None
        method = "POST" if script else "DELETE"
        urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/control", data=body, method=method), timeout=10
        )

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)


def call(stack, token, method, path):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(stack.api + path, method=method, headers=headers)
    try:
        answer = urllib.request.urlopen(request, timeout=40)
    except urllib.error.HTTPError as error:
        answer = error
    text = answer.read().decode()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text


def expect(what, seen, wanted):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen}, not {wanted}")
    say(f"{what}: {seen}")


def in_days(days):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))


def integration(name, platform, **more):
    return {
        "type": "integration", "org_id": "acme", "integration_id": name, "platform": platform,
        "username": f"{name}.account", "account_id": "1", "created_by": "carl",
        "access_token": f"at-{name}", "refresh_token": f"rt-{name}",
        "token_expires_at": in_days(2), "is_active": True, **more,
    }


class Test:
    def __init__(self, emulator, stack, home):
        self.emulator, self.stack, self.home = emulator, stack, home
        self.dynamodb = emulator.client("dynamodb")

    def import_records(self, records):
        file = self.home / "records.jsonl"
        file.write_text("\n".join(json.dumps(record) for record in records))
        outputs = self.stack.outputs
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": self.emulator.url,
            "INTEGRATIONS_TABLE": outputs["IntegrationsTableName"],
            "ORGANIZATIONS_TABLE": outputs["OrganizationsTableName"],
            "TOKEN_KEY_ID": outputs["TokenKeyArn"],
        }
        subprocess.run([WARDEN, "import", str(file)], env=environment, check=True)

    def row(self, name):
        key = {"org_id": {"S": "acme"}, "integration_id": {"S": name}}
        table = self.stack.outputs["IntegrationsTableName"]
        return self.dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})

    def generation(self, name):
        return int(self.row(name).get("generation", {}).get("N", 0))

    def told(self, user):
        answer = self.dynamodb.query(
            TableName=self.stack.outputs["NotificationsTableName"],
            KeyConditionExpression="user_id = :u",
            ExpressionAttributeValues={":u": {"S": user}},
        )
        return [item["type"]["S"] for item in answer["Items"]]

    def logged(self, group):
        log = self.emulator.client("logs").filter_log_events(logGroupName=f"/{group}")
        return "".join(event["message"] for event in log["events"])


def run(emulator, home):
    issuer, platforms = Issuer(), Platforms(home)
    try:
        stack = Stack(emulator, "warden", "infra/template.yaml", sys.argv[1])
        parameters = {
            "AuthIssuer": ISSUER, "AuthAudience": AUDIENCE, "AuthJwks": issuer.jwks,
            "PlatformEndpoints": platforms.endpoints,
            "DueSchedule": "rate(1 minute)",
            "QuotaPolicies": json.dumps({"meta": {"limit": 5, "period": 3600, "burst": 3}}),
        }
        changed = stack.deploy(parameters)
        say(f"deployed: {len(changed)} resources")
        emulator.client("secretsmanager").put_secret_value(
            SecretId=stack.outputs["PlatformSecretArn"], SecretString=platforms.credentials
        )
        scenario(Test(emulator, stack, home), issuer, platforms, parameters)
        own_user_pool(emulator)
    finally:
        platforms.stop()


def scenario(test, issuer, platforms, parameters):
    stack = test.stack
    test.import_records([
        {"type": "organization", "org_id": "acme", "name": "Acme", "owner_id": "olga"},
        integration("ads", "google"),
        integration("page", "linkedin", refresh_token=None),
        integration("fb", "meta", refresh_token=None),
        integration("fb:2@x", "meta", refresh_token=None),
    ])
    say("imported into the deployed stack")

    wait_for("the schedule refreshes", 150, lambda: test.generation("ads") == 2)
    say("the schedule came, and refreshed what could be refreshed")
    wait_for("the alert becomes a notification", 60, lambda: test.told("olga"))
    expect("olga was told", sorted(set(test.told("olga"))),
           ["integration_token_expiring", "integration_token_refreshed"])

    token = issuer.token("olga")
    expect("health", call(stack, None, "GET", "/health")[0], 200)
    expect("without a token", call(stack, None, "GET", "/api/dashboard/acme/integrations")[0], 401)
    expect("a stranger", call(stack, issuer.token("eve"), "GET", "/api/dashboard/acme/integrations")[0], 403)
    heads = [call(stack, who, "HEAD", "/api/dashboard/acme/integrations")
             for who in (token, None, issuer.token("eve"))]
    expect("HEAD, as GET without a body", heads, [(200, ""), (401, ""), (403, "")])
    for spelled in ("fb:2@x", "fb%3A2%40x"):
        status, answer = call(stack, token, "GET", f"/api/dashboard/acme/integrations/{spelled}")
        expect(f"{spelled} in a path", (status, answer.get("integration_id")), (200, "fb:2@x"))
    status, answer = call(stack, token, "GET", "/api/dashboard/acme/integrations/expiring-tokens?days=7")
    expect("what expires", (status, [one["integration_id"] for one in answer["expiring_tokens"]]), (200, ["page"]))
    status, answer = call(stack, token, "POST", "/api/dashboard/acme/integrations/ads/check")
    expect("checked now", (status, answer.get("result")), (200, "renewed"))
    permits = [call(stack, token, "POST", "/api/platforms/meta/acme/fb/permits")[0] for _ in range(5)]
    expect("permits, three in a minute", permits, [200, 200, 200, 429, 429])
    status, answer = call(stack, token, "POST", "/api/platforms/google/acme/ads/access-token")
    expect("an access token", (status, answer.get("generation")), (200, test.generation("ads")))
    handed_out = answer["access_token"]
    customers = "/api/platforms/google/acme/ads/proxy/v26/customers:listAccessibleCustomers"
    status, answer = call(stack, token, "GET", customers)
    expect("a call through the proxy", (status, list(answer)), (200, ["resourceNames"]))

    # Consents: an account that is new, and the same answer of the platform once more.
    person = Person(stack, token)
    query = person.consent("new", "77", platform="snapchat")
    expect("back from the platform", person.come_back(query), "/v1/dashboard/acme/integrations/new?connected=1")
    expect("a new account is connected", test.generation("new"), 1)
    expect("the same answer once more", "refused=unknown" in person.come_back(query), True)
    expect("an access token of it", call(stack, token, "POST", "/api/platforms/snapchat/acme/new/access-token")[0], 200)

    # A function dies while a platform takes its time, and a deployment follows.
    platforms.control({"platform": "google", "do": {"delay_ms": 8000}})
    test.import_records([integration("late", "google")])
    wait_for("an attempt is under way", 100, lambda: "lease" in test.row("late"))
    say(f"killed {test.emulator.kill_functions()} functions, one in the middle of an exchange")
    platforms.control(None)
    before, told = {name: test.generation(name) for name in ("ads", "page", "fb")}, len(test.told("olga"))
    changed = stack.deploy({**parameters, "LogLevel": "debug"})
    say(f"updated: {len(changed)} resources changed")
    after = {name: test.generation(name) for name in before}
    expect("no credential is lost by the update", after == before, True)
    expect("no notification is lost by the update", len(test.told("olga")) >= told, True)
    expect("no organisation is lost by the update",
           call(stack, token, "GET", "/api/dashboard/acme/notifications")[0], 200)
    wait_for("the killed attempt is made again", 240, lambda: test.generation("late") == 2)
    say("what was killed in the middle was refreshed by a later schedule")
    status, answer = call(stack, token, "POST", "/api/dashboard/acme/integrations/ads/check")
    expect("tokens open after the update", (status, answer.get("result")), (200, "renewed"))
    text = "".join(test.logged(group) for group in ("warden/token-monitoring", "aws/lambda/warden-platform-calls"))
    expect("sweeps and metrics in the log", ("sweep finished" in text, "SweepsFinished" in text), (True, True))
    tokens = [handed_out, *(f"{kind}-{name}" for kind in ("at", "rt") for name in ("ads", "late"))]
    expect("the hand-out in the log", "an access token was handed out" in text, True)
    expect("tokens in the log", [token for token in tokens if token in text], [])


def own_user_pool(emulator):
    """A stack that is given no issuer, and makes a user pool instead."""
    stack = Stack(emulator, "own", "infra/template.yaml", sys.argv[1])
    parameters = {
        "CheckTokensLogGroup": "/own/token-monitoring", "ApiGatewayLogRole": "exists",
        "Schedules": "DISABLED", "DeletionProtection": "false",
    }
    stack.deploy(parameters)
    pool = UserPool(emulator, stack.outputs)
    stack.deploy({**parameters, "AuthJwks": pool.keys()})
    say("deployed with a user pool of its own")
    page = stack.outputs["DashboardUrl"]
    variables = emulator.client("apigateway").get_stage(restApiId=stack.ids["DashboardApi"], stageName="v1")["variables"]
    clients = [stack.outputs["UserPoolClientId"], stack.outputs["MachinesClientId"]]
    expect("what the stage tells the functions", variables,
           {"auth_audience": ",".join(clients), "sign_in_client_id": clients[0]})
    pool.add("ann@example.com")
    code = pool.sign_in("ann@example.com", page)
    tokens = pool.exchange(code, page)
    expect("who signed in on the pool's page", call(stack, tokens["access_token"], "GET", "/api/organizations")[0], 200)
    tokens = pool.refresh(tokens["refresh_token"])
    expect("their next token", call(stack, tokens["access_token"], "GET", "/api/organizations")[0], 200)
    expect("a page that is not ours", pool.refuses(page + "x"), True)
    expect("after signing out", pool.sign_out(page + "signed-out"), page + "signed-out")
    expect("a machine", call(stack, pool.machine(), "GET", "/api/organizations")[0], 200)
    expect("a client of the pool that is not ours", call(stack, pool.foreign(), "GET", "/api/organizations")[0], 401)


BEGAN = time.monotonic()
with tempfile.TemporaryDirectory() as temporary:
    home = pathlib.Path(temporary)
    emulator = Emulator(home)
    try:
        run(emulator, home)
        print("\n1 passed, 0 failed")
    except BaseException:
        for log in ("emulator.log", "local.log"):
            lines = (home / log).read_text(errors="replace").splitlines() if (home / log).exists() else []
            print(f"--- {log}", *lines[-60:], sep="\n", file=sys.stderr)
        raise
    finally:
        emulator.stop()

"""Calls a simulated platform through the proxy with Meta's own client library. The library is
told the proxy's address and a bearer token of Token Warden, and nothing else."""

import itertools
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
from urllib.parse import parse_qs, urlsplit

from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

WARDEN = sys.argv[1]
INTEGRATION = "meta-renews-itself"
RECONNECT = "meta-access-withdrawn"
CAMPAIGN = {
    "name": "Spring", "objective": "OUTCOME_TRAFFIC", "status": "PAUSED", "special_ad_categories": [],
}
# How Meta refuses one call too many for an ad account. The simulator's own throttle names whole
# minutes, and this one seconds.
THROTTLE = {
    "status": 400,
    "headers": {"X-Ad-Account-Usage": json.dumps({"acc_id_util_pct": 100, "reset_time_duration": 4})},
    "body": json.dumps({"error": {
        "message": "There have been too many calls to this ad-account. Wait a bit and try again.",
        "type": "OAuthException", "code": 80004, "error_subcode": 2446079,
    }}),
}


class Local:
    """A `warden local` with its demo, used as the demo's application."""

    def __init__(self, home):
        self.options = ["--local", "--data-dir", str(home / "warden")]
        self.log = home / "local.log"
        command = [WARDEN, "local", "--json", "--port", "0", "--dynamodb-port", "0", *self.options[1:]]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)

    def wait_until_ready(self):
        addresses = json.loads(self.process.stdout.readline())["addresses"]
        self.gateway, self.control = addresses["gateway"], addresses["platforms"] + "/control"
        token = subprocess.run(
            [WARDEN, "token", "--user", "crm", *self.options], check=True, capture_output=True, text=True
        )
        self.token = token.stdout.strip()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def route(self, integration, name):
        return f"{self.gateway}/api/platforms/meta/demo/{integration}/{name}"

    def ask(self, method, name):
        headers = {"Authorization": f"Bearer {self.token}"}
        return fetch(urllib.request.Request(self.route(INTEGRATION, name), method=method, headers=headers))

    def counts(self):
        """Permits left, and what the platform has counted."""
        platform = fetch(self.control)["meta"]
        return {"remaining": self.ask("GET", "quota")["remaining"],
                **{name: platform[name] for name in ("calls", "writes", "adopted")}}

    def script(self, action):
        """Tells the platform what to do with the next call."""
        script = {"platform": "meta", "on": "call", "times": 1, "do": action}
        fetch(urllib.request.Request(self.control, data=json.dumps(script).encode()))


def fetch(request):
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def expect(what, seen, wanted):
    if seen != wanted:
        raise AssertionError(f"{what}: {seen}, not {wanted}")


def refusal(call):
    """Makes a call that must fail. Returns the library's error."""
    try:
        result = call()
    except FacebookRequestError as error:
        return error
    raise AssertionError(f"the library takes a refusal for a result: {result}")


class Test:
    def __init__(self, local):
        self.local = local
        self.answers = []
        self.platform_tokens = {self.platform_token()}

    def platform_token(self):
        return self.local.ask("POST", "access-token")["access_token"]

    def library(self, integration=INTEGRATION, bearer=None, **credentials):
        """Initialises the library for all calls to come, and keeps what it gets."""
        FacebookSession.GRAPH = self.local.route(integration, "proxy")
        session = FacebookSession(timeout=40, **credentials)
        session.requests.headers["Authorization"] = f"Bearer {bearer or self.local.token}"
        session.requests.hooks["response"].append(lambda answer, **_: self.answers.append(answer))
        FacebookAdsApi.set_default_api(FacebookAdsApi(session))
        self.account = AdAccount("act_1")

    def create(self):
        return self.account.create_campaign(params=CAMPAIGN)

    def changes(self, call):
        """Makes a call. Returns its result, and by how much it changed the counts."""
        before = self.local.counts()
        result = call()
        after = self.local.counts()
        return result, {name: after[name] - before[name] for name in after if after[name] != before[name]}

    def a_profile(self):
        me, changes = self.changes(lambda: User("me").api_get(fields=["id", "name"]))
        expect("the name", me["name"], "A user")
        expect("one permit and one call", changes, {"remaining": -1, "calls": 1})

    def a_list_in_pages(self):
        def first():
            cursor = self.account.get_campaigns(params={"limit": 10, "endless": 1})
            return [campaign["id"] for campaign in itertools.islice(cursor, 25)]
        ids, changes = self.changes(first)
        expect("different campaigns", len(set(ids)), 25)
        expect("three pages", changes, {"remaining": -3, "calls": 3})
        pages = self.answers[-3:]
        sent = [parse_qs(urlsplit(page.request.url).query).get("after") for page in pages]
        cursors = [[page.json()["paging"]["cursors"]["after"]] for page in pages]
        expect("the cursors sent", sent, [None, *cursors[:2]])
        expect("the token withheld", ["TOKEN_WITHHELD" in page.text for page in pages], [True] * 3)

    def a_write(self):
        made, changes = self.changes(self.create)
        expect("an id", made["id"].isdigit(), True)
        expect("one write", changes, {"remaining": -1, "calls": 1, "writes": 1})
        sent = self.answers[-1].request.headers["Content-Type"]
        expect("sent as a form", sent, "application/x-www-form-urlencoded")

    def a_token_that_has_ended(self):
        self.local.script({"refuse": "190/463"})
        made, changes = self.changes(self.create)
        expect("an id", made["id"].isdigit(), True)
        expect("two calls, one write", changes, {"remaining": -2, "calls": 2, "writes": 1})
        self.platform_tokens.add(self.platform_token())
        expect("platform tokens so far", len(self.platform_tokens), 2)

    def a_placeholder_for_the_token(self):
        wanted = self.account.get_campaigns()[0]["id"]
        # With a secret, the library also sends a proof of the placeholder.
        self.library(access_token="PLACEHOLDER", app_secret="secret")
        campaigns, changes = self.changes(self.account.get_campaigns)
        query = parse_qs(urlsplit(self.answers[-1].request.url).query)
        sent = query["access_token"], "appsecret_proof" in query
        expect("sent by the library", sent, (["PLACEHOLDER"], True))
        expect("the same account", campaigns[0]["id"], wanted)
        # The platform would have adopted a token that it does not know.
        expect("one call", changes, {"remaining": -1, "calls": 1})
        made, changes = self.changes(self.create)
        expect("an id", made["id"].isdigit(), True)
        expect("one write", changes, {"remaining": -1, "calls": 1, "writes": 1})

    def a_batch(self):
        def batch():
            batch = FacebookAdsApi.get_default_api().new_batch()
            User("me").api_get(fields=["id"], batch=batch)
            User("me").api_get(fields=["name"], batch=batch)
            return batch.execute()
        error, changes = self.changes(lambda: refusal(batch))
        expect("the status", error.http_status(), 400)
        expect("why", "A batch is as many calls as it holds" in str(error), True)
        expect("one permit, no call", changes, {"remaining": -1})

    def an_account_to_reconnect(self):
        self.library(integration=RECONNECT)
        error, changes = self.changes(lambda: refusal(self.create))
        expect("the status", error.http_status(), 409)
        expect("why", "Reconnect it" in str(error), True)
        expect("no call", changes, {})

    def a_bearer_token_that_is_none(self):
        self.library(bearer="none")
        error, changes = self.changes(lambda: refusal(self.create))
        expect("the status", error.http_status(), 401)
        expect("no call", changes, {})

    def a_throttle(self):
        _, changes = self.changes(self.throttled_and_denied)
        expect("two permits and two calls", changes, {"remaining": -2, "calls": 2})

    def throttled_and_denied(self):
        self.local.script({"respond": THROTTLE})
        error = refusal(self.account.get_campaigns)
        codes = error.http_status(), error.api_error_code(), error.api_error_subcode()
        expect("Meta's own answer", codes, (400, 80004, 2446079))
        expect("the verdict", error.http_headers()["Warden-Verdict"], "throttled")
        denial = refusal(self.account.get_campaigns)
        expect("a denial", denial.http_status(), 429)
        wait = int(denial.http_headers()["Retry-After"])
        expect("a few seconds", 1 <= wait <= 6, True)
        time.sleep(wait)
        self.account.get_campaigns()

    def no_platform_token(self):
        """Whatever the library was sent."""
        self.platform_tokens.add(self.platform_token())
        texts = [answer.text + str(answer.headers) for answer in self.answers]
        found = [text for text in texts if any(token in text for token in self.platform_tokens)]
        expect("answers with a platform token", found, [])


PARTS = [
    Test.a_profile, Test.a_list_in_pages, Test.a_write, Test.a_token_that_has_ended,
    Test.a_placeholder_for_the_token, Test.a_batch, Test.an_account_to_reconnect,
    Test.a_bearer_token_that_is_none, Test.a_throttle, Test.no_platform_token,
]


def run(local):
    local.wait_until_ready()
    test, failed = Test(local), 0
    for part in PARTS:
        what = part.__name__.replace("_", " ")
        test.library()
        try:
            part(test)
            print(f"{time.monotonic() - BEGAN:6.1f} s  {what}: ok", flush=True)
        except Exception:
            failed += 1
            print(f"{time.monotonic() - BEGAN:6.1f} s  {what}: failed\n{traceback.format_exc()}", flush=True)
    print(f"\n{len(PARTS) - failed} passed, {failed} failed")
    return failed


BEGAN = time.monotonic()
with tempfile.TemporaryDirectory() as temporary:
    local, failed = Local(pathlib.Path(temporary)), True
    try:
        failed = run(local)
    finally:
        local.stop()
        if failed:
            print("--- local.log", local.log.read_text(errors="replace"), sep="\n", file=sys.stderr)
sys.exit(bool(failed))

"""A person in a browser: gives consent on a simulated platform's page, and comes back."""

import json
import urllib.error
import urllib.parse
import urllib.request


class Stay(urllib.request.HTTPRedirectHandler):
    """Where an answer leads, its reader sees."""

    def redirect_request(self, *_):
        return None


def ask(method, url, body=None, **headers):
    request = urllib.request.Request(url, method=method, data=body, headers=headers)
    try:
        return urllib.request.build_opener(Stay).open(request, timeout=40)
    except urllib.error.HTTPError as answer:
        return answer


class Person:
    def __init__(self, stack, token):
        self.stack, self.token = stack, token
        self.cookie = None

    def post(self, path, body):
        answer = ask(
            "POST", self.stack.api + path, json.dumps(body).encode(), authorization=f"Bearer {self.token}",
            **{"content-type": "application/json"}, **({"cookie": self.cookie} if self.cookie else {}),
        )
        self.cookie = self.cookie or (answer.headers["set-cookie"] or "").split(";")[0]
        return answer.status, json.load(answer)

    def consent(self, integration, account, **body):
        """Allows everything that is asked for; answers where the page was sent back to."""
        path = f"/api/dashboard/acme/integrations/{integration}/consent"
        status, answer = self.post(path, body)
        assert status == 200, answer
        page = answer["url"]
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(page).query)
        assert asked["redirect_uri"][0].endswith("/v1/oauth/callback"), page
        allowed = [("decision", "allow"), ("account", account)]
        allowed += [("scope", scope) for scope in asked["scope"][0].replace(",", " ").split()]
        back = ask("POST", page, urllib.parse.urlencode(allowed).encode())
        assert back.status == 303, (back.status, back.read())
        return urllib.parse.urlsplit(back.headers["location"]).query

    def come_back(self, query):
        """Answers the address of our own page that says what came of it."""
        answer = ask("GET", f"{self.stack.api}/oauth/callback?{query}", cookie=self.cookie)
        assert answer.status == 303, (answer.status, answer.read())
        return answer.headers["location"]

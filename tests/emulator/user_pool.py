"""The user pool of a deployed stack, signed in to as the page does."""

import base64
import hashlib
import html
import json
import re
import secrets
import urllib.error
import urllib.parse
import urllib.request

PASSWORD = "An example of 31 characters, no more"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


BROWSER = urllib.request.build_opener(NoRedirect)


class UserPool:
    def __init__(self, emulator, outputs):
        self.url, self.outputs = emulator.url, outputs
        self.id, self.client = outputs["UserPoolId"], outputs["UserPoolClientId"]
        self.cognito = emulator.client("cognito-idp")
        self.verifier = secrets.token_urlsafe(32)

    def open(self, path, form=None):
        """The status of an answer, where it sends the browser, and its body."""
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            answer = BROWSER.open(urllib.request.Request(self.url + path, data=data), timeout=20)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.headers.get("Location"), answer.read().decode()

    def keys(self):
        return self.open(f"/{self.id}/.well-known/jwks.json")[2]

    def add(self, name):
        who = {"UserPoolId": self.id, "Username": name}
        # One that the emulator makes up is too short for the pool.
        self.cognito.admin_create_user(**who, MessageAction="SUPPRESS", TemporaryPassword=PASSWORD)
        self.cognito.admin_set_user_password(**who, Password=PASSWORD, Permanent=True)

    def authorize(self, redirect_uri):
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return self.open("/oauth2/authorize?" + urllib.parse.urlencode({
            "response_type": "code", "client_id": self.client, "scope": "openid",
            "redirect_uri": redirect_uri, "state": "s", "prompt": "none",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }))

    def refuses(self, redirect_uri):
        status, location, _ = self.authorize(redirect_uri)
        return status == 400 and location is None

    def sign_in(self, name, redirect_uri):
        """Fills in the pool's form; the code that comes back."""
        _, _, page = self.authorize(redirect_uri)
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page)
        form = {field: html.unescape(value) for field, value in hidden}
        _, location, body = self.open("/login", {**form, "username": name, "password": PASSWORD})
        if not (location or "").startswith(f"{redirect_uri}?"):
            raise SystemExit(f"the pool sends to {location}: {body}")
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)
        return query["code"][0]

    def token(self, **grant):
        status, _, body = self.open("/oauth2/token", grant)
        if status != 200:
            raise SystemExit(f"the pool answers {status}: {body}")
        return json.loads(body)

    def exchange(self, code, redirect_uri):
        return self.token(grant_type="authorization_code", client_id=self.client, code=code,
                          code_verifier=self.verifier, redirect_uri=redirect_uri)

    def refresh(self, token):
        return self.token(grant_type="refresh_token", client_id=self.client, refresh_token=token)

    def sign_out(self, back):
        """Where the pool sends who signs out."""
        query = urllib.parse.urlencode({"client_id": self.client, "logout_uri": back})
        return self.open(f"/logout?{query}")[1]

    def machine_token(self, client):
        client = self.cognito.describe_user_pool_client(UserPoolId=self.id, ClientId=client)
        client = client["UserPoolClient"]
        return self.token(grant_type="client_credentials", scope="warden/use",
                          client_id=client["ClientId"], client_secret=client["ClientSecret"])["access_token"]

    def machine(self):
        return self.machine_token(self.outputs["MachinesClientId"])

    def foreign(self):
        """A token of a client that somebody else adds to the pool."""
        made = self.cognito.create_user_pool_client(
            UserPoolId=self.id, ClientName="another", GenerateSecret=True,
            AllowedOAuthFlows=["client_credentials"], AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthScopes=["warden/use"],
        )
        return self.machine_token(made["UserPoolClient"]["ClientId"])

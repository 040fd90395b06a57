"""Writes token_cache_msal.json: what MSAL for Python itself serialises, for made-up tokens.

Run it in an environment that has msal 1.39; the tests only read the result.
"""

import base64
import json
from pathlib import Path

import msal

HERE = Path(__file__).parent
NOW = 1_795_369_002
HOST = "login.microsoftonline.com"
TENANT = "7e57c0de-0000-4000-8000-000000000001"
OTHER_TENANT = "7e57c0de-0000-4000-8000-000000000002"


def b64(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def jwt(**claims):
    return f"{b64({'alg': 'none'})}.{b64(claims)}.fake"


def user(name, tenant=TENANT, **response):
    return {
        "access_token": f"fake-at-{name}",
        "refresh_token": f"fake-rt-{name}",
        "id_token": jwt(sub=f"sub-{name}", oid=f"oid-{name}", preferred_username=name, tid=tenant),
        "client_info": b64({"uid": f"UID-{name}", "utid": TENANT}),
        "token_type": "Bearer",
        "expires_in": 3599,
        **response,
    }


def event(response, tenant=TENANT, **more):
    return {
        "client_id": "Client-1",
        "scope": ["User.Read", "openid", "profile"],
        "token_endpoint": f"https://{HOST}/{tenant}/oauth2/v2.0/token",
        "environment": HOST,
        "grant_type": "authorization_code",
        "response": response,
        "params": None,
        "data": {},
        **more,
    }


APP = {"access_token": "fake-at-app", "token_type": "Bearer", "expires_in": 3599}
app = {"grant_type": "client_credentials", "scope": ["https://graph.microsoft.com/.default"]}

CASES = {
    "nothing": [],
    "empty event": [{}],
    "one person": [event(user("Alice@Contoso.example"))],
    "two people": [event(user("alice@contoso.example")), event(user("bob@contoso.example"))],
    "two tenants": [
        event(user("alice@contoso.example")),
        event(
            user("alice@contoso.example", OTHER_TENANT, refresh_token=None),
            OTHER_TENANT,
            skip_account_creation=True,
        ),
    ],
    "all lifetimes": [event(user("a@b.example", ext_expires_in=7200, refresh_in=1800))],
    "lifetimes as strings": [event(user("a@b.example", expires_in="3599", ext_expires_in="9"))],
    "no lifetime": [event({"access_token": "fake-at"}, **app)],
    "expires_on only": [event({"access_token": "fake-at", "expires_on": str(NOW + 99)}, **app)],
    "application": [event(APP, **app)],
    "application, fmi_path": [
        event(APP, **app, data={"fmi_path": "p1", "scope": "x", "client_id": "Client-1"}),
        event(APP, **app, data={"client_claims": '{"a": 1}', "claims": '{"a": 1}'}),
        event(APP, **app),
    ],
    "family": [event(user("alice@contoso.example", foci="1"))],
    "ssh certificate": [
        event(
            user("alice@contoso.example", token_type="ssh-cert"),
            data={"token_type": "ssh-cert", "req_cnf": "{}", "key_id": "key-1"},
        )
    ],
    "password": [
        event(
            {**APP, "client_info": b64({"uid": "u", "utid": "t"})},
            grant_type="password",
            data={"username": "Carol@contoso.example", "password": "fake"},
        )
    ],
    "federated": [
        event(
            {**APP, "id_token": jwt(sub="s", upn="dave@contoso.example")},
            grant_type="urn:ietf:params:oauth:grant-type:saml1_1-bearer",
            username="ignored@contoso.example",
        )
    ],
    "adfs": [
        {
            **event(user("erin", client_info=b64({}))),
            "token_endpoint": "https://fs.contoso.example/adfs/oauth2/token",
            "environment": "fs.contoso.example",
        }
    ],
    "on behalf of": [
        event(
            user("alice@contoso.example"),
            grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer",
            data={"assertion": "fake", "requested_token_use": "on_behalf_of"},
        )
    ],
    "managed identity": [
        {
            "client_id": None,
            "scope": ["https://vault.azure.net"],
            "token_endpoint": "https://localhost/managed_identity",
            "response": {**APP, "resource": "https://vault.azure.net"},
            "params": {},
            "data": {},
        }
    ],
    "External ID without a path": [
        {
            "client_id": "Client-1",
            "scope": ["a"],
            "token_endpoint": "https://Contoso.ciamlogin.com/",
            "response": user("zoë@contoso.example"),
        }
    ],
}


def main():
    golden = {}
    for name, events in CASES.items():
        cache = msal.SerializableTokenCache()
        for one in events:
            cache.add(json.loads(json.dumps(one)), now=NOW)
        golden[name] = {"events": events, "serialized": cache.serialize()}
    text = json.dumps({"msal": msal.__version__, "now": NOW, "cases": golden}, indent=1)
    (HERE / "token_cache_msal.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

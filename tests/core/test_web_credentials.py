"""A site that proves itself with another credential than a secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.bare_site import BareSite, with_apis
from support.client_keys import PASSPHRASE, client_key
from support.provider import Provider

CLIENT = client_key()


def credential(kind: str, folder: Path) -> Any:
    if kind == "key":
        return {"private_key": CLIENT.key_pem(), "public_certificate": CLIENT.chain_pem}
    if kind == "pfx":
        (folder / "site.pfx").write_bytes(CLIENT.pfx(PASSPHRASE))
        return {"private_key_pfx_path": str(folder / "site.pfx"), "passphrase": PASSPHRASE}
    (folder / "site.pem").write_text(CLIENT.key_pem() + CLIENT.chain_pem)
    # As the environment has it: a list, whose first entry is not to be had on this machine.
    missing = {"federated_token_file": str(folder / "missing")}
    return json.dumps([missing, {"private_key_path": str(folder / "site.pem")}])


@pytest.mark.parametrize("entra", [True, False])
@pytest.mark.parametrize("kind", ["key", "pfx", "list"])
def test_people_sign_in_and_their_tokens_are_renewed_with_one_assertion(
    kind: str, entra: bool, tmp_path: Path
) -> None:
    with Provider(entra=entra, client_key=CLIENT.key, auth_methods=["private_key_jwt"]) as provider:
        settings: dict[str, Any] = with_apis(provider, CLIENT_CREDENTIAL=credential(kind, tmp_path))
        del settings["CLIENT_SECRET"]
        settings["SCOPES"] = settings["DOWNSTREAM_APIS"]["api"]["scopes"]
        with BareSite(settings) as site:
            site.sign_in()
            assert site.is_signed_in
            for _ in range(2):
                token = site.keyfob.token(api="api", force_refresh=True)
                assert token == provider.last_access_token
        sent = [request.form for request in provider.requests_to("token")]
        assert [form["grant_type"] for form in sent] == [
            "authorization_code",
            "refresh_token",
            "refresh_token",
        ]
        assert len({form["client_assertion"] for form in sent}) == 1
        assert not any("client_secret" in form for form in sent)

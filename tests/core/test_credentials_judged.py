"""Certificates of every shape, judged by the local identity provider, which shares no code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("flask", reason="the local identity provider needs Flask")

from keyfob import ConfidentialClientApplication
from keyfob_emulator.sample import CONTOSO, NIGHTLY_JOB
from support.client_keys import PASSPHRASE, client_key, pem_of

CLIENT, OTHER = client_key(), client_key("client-other")
SCOPE = ["api://orders/.default"]


def shapes(folder: Path) -> dict[str, Any]:
    pfx = folder / "client.pfx"
    pfx.write_bytes(CLIENT.pfx(PASSPHRASE))
    key = CLIENT.key_pem()
    return {
        "sha1": {"private_key": key, "thumbprint": CLIENT.sha1},
        "sha256": {"private_key": key, "thumbprint": CLIENT.sha256},
        "chain": {"private_key": key, "public_certificate": CLIENT.chain_pem},
        "pfx": {"private_key_pfx_path": str(pfx), "passphrase": PASSPHRASE},
        "list": [
            {"private_key": OTHER.key_pem(), "thumbprint": OTHER.sha1},
            {"private_key": key, "thumbprint": CLIENT.sha1},
        ],
    }


@pytest.mark.parametrize("shape", ["sha1", "sha256", "chain", "pfx", "list"])
def test_the_local_identity_provider_knows_the_client_by_its_certificate(
    shape: str, keyfob_emulator_in_process: Any, tmp_path: Path
) -> None:
    session, emulator = keyfob_emulator_in_process
    known = emulator.directory.application(NIGHTLY_JOB)
    emulator.directory.add(replace(known, secrets=(), certificates=(pem_of([CLIENT.leaf]),)))
    app = ConfidentialClientApplication(
        NIGHTLY_JOB,
        client_credential=shapes(tmp_path)[shape],
        authority=f"https://login.microsoftonline.com/{CONTOSO}",
        http_client=session,
    )
    assert "access_token" in app.acquire_token_for_client(SCOPE)


def test_it_refuses_a_key_that_is_not_registered(keyfob_emulator_in_process: Any) -> None:
    session, emulator = keyfob_emulator_in_process
    known = emulator.directory.application(NIGHTLY_JOB)
    emulator.directory.add(replace(known, secrets=(), certificates=(pem_of([CLIENT.leaf]),)))
    app = ConfidentialClientApplication(
        NIGHTLY_JOB,
        client_credential={"private_key": OTHER.key_pem(), "thumbprint": CLIENT.sha1},
        authority=f"https://login.microsoftonline.com/{CONTOSO}",
        http_client=session,
    )
    assert app.acquire_token_for_client(SCOPE)["error"] == "invalid_client"

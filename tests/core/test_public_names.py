"""What `keyfob` offers by name, and that importing it costs next to nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import keyfob
from keyfob.errors import IdTokenError, KeyfobError

HEAVY = {"requests", "urllib3", "cryptography", "joserfc", "itsdangerous", "ssl", "http.client"}
FRAMEWORKS = {"flask", "werkzeug", "django"}


def loaded_after(code: str) -> set[str]:
    """The modules a fresh interpreter has loaded then."""
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], check=True, capture_output=True, text=True
    )
    return set(run.stdout.split())


def test_the_exported_names_are_these() -> None:
    assert set(keyfob.__all__) == {
        "Account",
        "ArcPlatformNotSupportedError",
        "AuthCodeFlow",
        "AutoRefresher",
        "BrowserInteractionTimeoutError",
        "ClientApplication",
        "ConfidentialClientApplication",
        "DeviceFlow",
        "IdTokenError",
        "KeyfobError",
        "ManagedIdentityClient",
        "ManagedIdentityError",
        "PopAuthScheme",
        "Prompt",
        "PublicClientApplication",
        "SerializableTokenCache",
        "SystemAssignedManagedIdentity",
        "TokenCache",
        "TokenResult",
        "UserAssignedManagedIdentity",
        "__version__",
    }
    assert dir(keyfob) == sorted(keyfob.__all__)


@pytest.mark.parametrize("name", keyfob.__all__)
def test_every_exported_name_is_there(name: str) -> None:
    assert getattr(keyfob, name)


def test_a_name_that_is_not_there_is_said() -> None:
    with pytest.raises(AttributeError, match="NoSuchName"):
        _ = keyfob.NoSuchName


def test_an_id_token_error_is_msals_kind() -> None:
    assert issubclass(IdTokenError, RuntimeError)
    assert issubclass(IdTokenError, KeyfobError)


def test_importing_it_loads_nothing_heavy() -> None:
    loaded = loaded_after("import keyfob")
    assert not loaded & (HEAVY | FRAMEWORKS)
    assert {name for name in loaded if name.startswith("keyfob.")} == {"keyfob._version"}


def test_an_application_is_made_without_the_network_library_or_cryptography() -> None:
    code = (
        "import keyfob\n"
        "for credential in ('secret', {'private_key_pfx_path': 'x'}, {'workload_identity': True}, "
        "{'private_key': '-----BEGIN ', 'thumbprint': 'a' * 40}):\n"
        "    keyfob.ConfidentialClientApplication("
        "'id', credential, token_cache=keyfob.TokenCache())"
    )
    loaded = loaded_after(code)
    assert not loaded & ({"requests", "urllib3", "cryptography", "joserfc"} | FRAMEWORKS)


def test_a_managed_identity_client_is_made_without_the_network_library() -> None:
    code = "import keyfob\nkeyfob.ManagedIdentityClient(keyfob.SystemAssignedManagedIdentity())"
    loaded = loaded_after(code)
    assert not loaded & ({"requests", "urllib3", "cryptography", "joserfc"} | FRAMEWORKS)


def test_who_does_not_use_asyncio_does_not_load_it() -> None:
    code = (
        "import keyfob, keyfob.authority, keyfob.exceptions, keyfob.managed_identity, keyfob.web\n"
        "keyfob.ConfidentialClientApplication('id', 'secret', http_cache={})\n"
        "keyfob.PublicClientApplication('id')\n"
        "keyfob.ManagedIdentityClient(keyfob.SystemAssignedManagedIdentity())"
    )
    assert not loaded_after(code) & {"asyncio", "httpx", "keyfob.aio"}


def test_asynchronous_applications_are_made_without_the_network_libraries() -> None:
    code = (
        "from keyfob import aio, SystemAssignedManagedIdentity\n"
        "aio.ConfidentialClientApplication('id', 'secret')\n"
        "aio.PublicClientApplication('id')\n"
        "aio.ManagedIdentityClient(SystemAssignedManagedIdentity())"
    )
    loaded = loaded_after(code)
    heavy = {"requests", "urllib3", "httpx", "cryptography", "joserfc", "webbrowser"}
    assert not loaded & (heavy | FRAMEWORKS)


def test_no_framework_is_ever_loaded() -> None:
    assert not loaded_after("import keyfob.applications, keyfob.transport, keyfob.web") & FRAMEWORKS

"""Azure Arc: a machine outside Azure, whose agent (himds) has a program prove what it may read.

The first answer names a file that only root and the group `himds` can read; the second request
brings what is in it.
"""

from __future__ import annotations

import ntpath
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from keyfob.errors import ArcPlatformNotSupportedError, ManagedIdentityError
from keyfob.protocol.http import HttpRequest, HttpResponse, refuse_unusable_status
from keyfob.protocol.managed_identity.answers import document_in, no_token, title, token_in, words
from keyfob.protocol.managed_identity.identity import PARAMETERS, Identity, ManagedIdentity
from keyfob.protocol.managed_identity.sources import ManagedIdentitySource, endpoint_in

_SOURCE = ManagedIdentitySource.AZURE_ARC
_ENDPOINT = "http://localhost:40342/metadata/identity/oauth2/token"

#: Bytes. A key file has a few dozen.
MAX_KEY_BYTES = 4096
_CHALLENGE = re.compile(r'Basic\s+realm=(?:"([^"]*)"|([^",]*))\s*', re.IGNORECASE)
_KEY_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}\.key")


def himds_path(environ: Mapping[str, str], platform: str) -> str | None:
    """Where the agent is, if it is installed; None where there is none for this system.

    :param platform: as `sys.platform` says it.
    """
    if platform == "linux":
        return "/opt/azcmagent/bin/himds"
    programs = environ.get("PROGRAMFILES")
    if platform == "win32" and programs:
        return ntpath.join(programs, "AzureConnectedMachineAgent", "himds.exe")
    return None


def key_folder(environ: Mapping[str, str], platform: str) -> str:
    """The only folder that key files are in.

    :raises ArcPlatformNotSupportedError: Azure Arc names none for this system.
    """
    if platform == "linux":
        return "/var/opt/azcmagent/tokens"
    data = environ.get("PROGRAMDATA")
    if platform == "win32" and data:
        return ntpath.join(data, "AzureConnectedMachineAgent", "Tokens")
    raise ArcPlatformNotSupportedError(
        f"Azure Arc has managed identities on Linux and Windows, and not on {platform}",
        source=_SOURCE.value,
    )


def build_request(
    environ: Mapping[str, str], identity: Identity, resource: str, key: str | None = None
) -> HttpRequest:
    """One request: without a key for the challenge, with it for the token.

    :raises ManagedIdentityError: IDENTITY_ENDPOINT is no address.
    """
    headers = {"Metadata": "true"}
    if key is not None:
        headers["Authorization"] = f"Basic {key}"
    # Without IMDS_ENDPOINT beside it, IDENTITY_ENDPOINT is not Azure Arc's.
    mine = environ if environ.get("IMDS_ENDPOINT") else {}
    return HttpRequest(
        "GET",
        endpoint_in(mine, "IDENTITY_ENDPOINT", _SOURCE, _ENDPOINT),
        _SOURCE.what,
        params={
            "api-version": "2020-06-01",
            "resource": resource,
            **identity.parameter(PARAMETERS),
        },
        headers=headers,
        direct=True,
    )


def parse_challenge(
    response: HttpResponse, environ: Mapping[str, str], platform: str
) -> str | dict[str, Any]:
    """The path of the key file, or a dict with `error` where the agent refuses at once.

    Whatever answers there may name any file; one is read only where all key files are.

    :raises ManagedIdentityError: the challenge cannot be read, or names another file.
    :raises TransportError: the agent answered a redirect, 429 or 5xx.
    """
    refuse_unusable_status(response, title(_SOURCE))
    if response.status != 401:
        return _refusal(response)
    found = _CHALLENGE.fullmatch(response.headers.get("www-authenticate", "").strip())
    if found is None:
        raise ManagedIdentityError(
            "Azure Arc answered HTTP 401 without a challenge that can be read: WWW-Authenticate "
            "should say `Basic realm=` and a file",
            source=_SOURCE.value,
            code="arc_challenge",
        )
    named = (found[1] if found[1] is not None else found[2]).strip()
    return _judged_path(named, key_folder(environ, platform), platform)


def _judged_path(named: str, folder: str, platform: str) -> str:
    style: Any = ntpath if platform == "win32" else posixpath
    parent, name = style.split(named)
    # Nothing is normalised on the way: what would need it is refused.
    same = style.normcase(parent) == style.normcase(folder)
    if not same or not _KEY_FILE.fullmatch(name):
        raise ManagedIdentityError(
            f"Azure Arc named a file that is no key file: those are called *.key and are in "
            f"{folder} itself",
            source=_SOURCE.value,
            code="arc_key_path",
        )
    return str(style.join(folder, name))


def judge_key(content: bytes, path: str) -> str:
    """What a key file says, as a header can carry it.

    :param content: at most MAX_KEY_BYTES of the file, and one more where it is longer.
    :raises ManagedIdentityError: it is too large, or no key.
    """
    if len(content) > MAX_KEY_BYTES:
        raise ManagedIdentityError(
            f"Azure Arc's key file {path} has more than {MAX_KEY_BYTES} bytes, and no key has",
            source=_SOURCE.value,
            code="arc_key_size",
        )
    key = content.decode("latin-1").strip()
    if not key or not all("!" <= character <= "~" for character in key):
        raise ManagedIdentityError(
            f"Azure Arc's key file {path} does not hold a key", source=_SOURCE.value, code="arc_key"
        )
    return key


def parse_answer(
    response: HttpResponse, identity: Identity, *, resource: str, now: float
) -> dict[str, Any]:
    """The token, or `invalid_request` with the agent's words.

    :raises ManagedIdentityError: the token is not, by its own account, of the identity that was
        asked for: older agents take no notice of it, and give the machine's own.
    :raises TokenResponseError: it is neither a token nor a refusal.
    :raises TransportError: the agent answered a redirect, 429 or 5xx.
    """
    refuse_unusable_status(response, title(_SOURCE))
    if response.status >= 400:
        return _refusal(response)
    answer = document_in(response, _SOURCE)
    token = token_in(answer, response, _SOURCE, resource=resource, now=now)
    if token is None:
        raise no_token(response, _SOURCE)
    if identity.is_user_assigned and not _is_echoed(answer, identity):
        raise ManagedIdentityError(
            "Azure Arc did not confirm that its token is of the user-assigned identity that was "
            "asked for; an agent that does not know them gives the machine's own. Update the "
            "agent, or use SystemAssignedManagedIdentity",
            source=_SOURCE.value,
            code="arc_identity",
        )
    return token


def _is_echoed(answer: Mapping[str, Any], identity: Identity) -> bool:
    echoed = answer.get(PARAMETERS[identity.kind])
    if not echoed and identity.kind == ManagedIdentity.RESOURCE_ID:
        echoed = answer.get("mi_res_id")
    # Ids are GUIDs or Azure resource ids: the case of neither means anything.
    return isinstance(echoed, str) and echoed.lower() == (identity.id or "").lower()


def _refusal(response: HttpResponse) -> dict[str, Any]:
    said = words(response) if response.status >= 400 else ""
    return {
        "error": "invalid_request",
        "error_description": said
        or f"{title(_SOURCE)} answered HTTP {response.status}, and not with a challenge",
    }

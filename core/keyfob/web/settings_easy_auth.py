"""The setting EASY_AUTH: whether App Service's own authentication signs people in here."""

from __future__ import annotations

from collections.abc import Mapping

from keyfob.protocol.authority import Authority
from keyfob.web import settings_values as values
from keyfob.web.settings_values import Found, Reader

#: What the platform tells a site's processes, where its authentication is on.
ENABLED = "WEBSITE_AUTH_ENABLED"
CLIENT_ID = "WEBSITE_AUTH_CLIENT_ID"


def easy_auth(
    reader: Reader, authority: Authority | None, client_id: str, environ: Mapping[str, str]
) -> bool:
    """Whether the platform's identities count: where the site says so, and the platform is there.

    Neither alone will do. Without the platform anybody can send its headers; and a platform that
    was turned on one day must not change who signs people in.
    """
    found = reader.find("EASY_AUTH")
    if found is None or not reader.converted(found, values.switch, default=False):
        return False
    if authority is not None and authority.kind != "entra":
        _problem(
            reader,
            found,
            "is for Microsoft Entra: set TENANT_ID, or AUTHORITY to a tenant of one of its clouds",
        )
    if environ.get(ENABLED, "").strip().lower() != "true":
        return False
    theirs = environ.get(CLIENT_ID, "").strip()
    if theirs and client_id and theirs.lower() != client_id.lower():
        _problem(
            reader,
            found,
            f"needs App Service and this site to be one application: {CLIENT_ID} is "
            f"{values.shown(theirs)}, and CLIENT_ID another",
        )
    return True


def _problem(reader: Reader, found: Found, what: str) -> None:
    reader.problem(found.key, what, in_environ=found.in_environ)

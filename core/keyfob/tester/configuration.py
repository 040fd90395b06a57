"""What the tester was told at its start, by flags and by the environment. Pure."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keyfob import __version__
from keyfob.applications import (
    ClientApplication,
    ConfidentialClientApplication,
    PublicClientApplication,
)
from keyfob.cache import TokenCache
from keyfob.errors import ConfigurationError
from keyfob.protocol.authority import tenant_authority
from keyfob.tester.demo import Demo, Sample, sample_with

_EVERYBODY = "common"
_PLACES = ("AUTHORITY", "TENANT_ID", "OIDC_AUTHORITY")

_EPILOG = """\
What no flag says, the environment may: KEYFOB_CLIENT_ID, KEYFOB_CLIENT_SECRET,
KEYFOB_AUTHORITY, KEYFOB_TENANT_ID and KEYFOB_OIDC_AUTHORITY. There is no flag
for a secret, because other programs can read flags.

Without a client id it offers the applications of the local identity provider,
where that is running:

  python -m keyfob_emulator

exit status: 0, or 1 if the last token that was asked for was not given, a file
cannot be used, or the input ended in the middle; 2 if a flag or a setting is
wrong; 130 after Ctrl-C.
"""


@dataclass(frozen=True)
class Registration:
    """An application, as it is registered at a provider.

    :param secret: "" where there is none to keep, or where it is still to be asked for.
    :param authority: Microsoft's; `oidc_authority` stands in its place.
    """

    client_id: str
    is_confidential: bool
    secret: str = field(default="", repr=False)
    authority: str = ""
    oidc_authority: str = ""
    name: str = ""
    redirect_uri: str = ""

    @property
    def place(self) -> str:
        return self.oidc_authority or self.authority

    @property
    def kind(self) -> str:
        return "confidential client" if self.is_confidential else "public client"

    def application(self, cache: TokenCache) -> ClientApplication:
        """The application. Nothing is sent.

        :raises ConfigurationError: (a ValueError) for what cannot be.
        """
        if self.is_confidential:
            return ConfidentialClientApplication(
                self.client_id,
                self.secret,
                authority=self.authority or None,
                oidc_authority=self.oidc_authority or None,
                token_cache=cache,
            )
        return PublicClientApplication(
            self.client_id,
            authority=self.authority or None,
            oidc_authority=self.oidc_authority or None,
            token_cache=cache,
        )


@dataclass(frozen=True)
class Options:
    """The flags and the environment, put together."""

    client_id: str
    secret: str = field(repr=False)
    authority: str
    oidc_authority: str
    is_confidential: bool | None
    cache_file: Path | None
    verbose: bool


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m keyfob",
        usage="python -m keyfob [options]",
        description="Try sign-in and tokens in the terminal: every flow, and what the cache holds.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--client-id", metavar="ID", help="the application's id")
    place = made.add_mutually_exclusive_group()
    place.add_argument(
        "--authority", metavar="URL", help="Microsoft's authority, with its tenant or user flow"
    )
    place.add_argument("--tenant-id", metavar="ID", help="a tenant of Microsoft's public cloud")
    place.add_argument(
        "--oidc-authority", metavar="URL", help="the issuer of any OpenID Connect provider"
    )
    kind = made.add_mutually_exclusive_group()
    kind.add_argument(
        "--public", action="store_true", help="a client without a secret (default without one)"
    )
    kind.add_argument(
        "--confidential", action="store_true", help="a client with one; it is asked for if missing"
    )
    made.add_argument(
        "--cache", metavar="FILE", help="keep the tokens in this file, readable by you only"
    )
    made.add_argument("--verbose", action="store_true", help="show the log; it has no secrets")
    made.add_argument("--version", action="version", version=f"keyfob {__version__}")
    return made


def options(arguments: Sequence[str] | None, environ: Mapping[str, str]) -> Options:
    """What was given; a flag goes before the environment.

    :raises ConfigurationError: the environment names more than one authority, or no tenant.
    :raises SystemExit: argparse's, with status 2 for a wrong flag, 0 after `--help`.
    """
    given = parser().parse_args(arguments)
    flags = {
        "AUTHORITY": given.authority,
        "TENANT_ID": given.tenant_id,
        "OIDC_AUTHORITY": given.oidc_authority,
    }
    found = {name: value for name, value in flags.items() if value}
    if not found:
        found = {name: _setting(environ, name) for name in _PLACES if _setting(environ, name)}
    if len(found) > 1:
        names = " and ".join(f"KEYFOB_{name}" for name in found)
        raise ConfigurationError(
            f"{names} are both set: leave only one of them", setting=_PLACES[0]
        )
    authority = found.get("AUTHORITY", "")
    if "TENANT_ID" in found:
        authority = tenant_authority(found["TENANT_ID"]).url
    return Options(
        client_id=given.client_id or _setting(environ, "CLIENT_ID"),
        secret=_setting(environ, "CLIENT_SECRET"),
        authority=authority,
        oidc_authority=found.get("OIDC_AUTHORITY", ""),
        is_confidential=True if given.confidential else False if given.public else None,
        cache_file=Path(given.cache) if given.cache else None,
        verbose=given.verbose,
    )


def _setting(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"KEYFOB_{name}", "").strip()


def configured(chosen: Options, demo: Demo) -> Registration | None:
    """The application that was named, or None where none was.

    One of the local provider's samples needs no more than its id.

    :raises ConfigurationError: there is an authority, and no application.
    """
    if not chosen.client_id:
        if chosen.authority or chosen.oidc_authority:
            raise ConfigurationError(
                "An authority is set, and no application: set KEYFOB_CLIENT_ID too, or give "
                "--client-id",
                setting="CLIENT_ID",
            )
        return None
    sample = sample_with(chosen.client_id)
    authority = chosen.authority
    if not authority and not chosen.oidc_authority:
        authority = demo.authority_of(sample) if sample else tenant_authority(_EVERYBODY).url
    if sample and demo.has(authority) and not chosen.secret and chosen.is_confidential is None:
        return of_sample(sample, demo, authority)
    wants_secret = chosen.is_confidential
    if wants_secret is None:
        wants_secret = bool(chosen.secret)
    return Registration(
        chosen.client_id,
        wants_secret,
        chosen.secret if wants_secret else "",
        authority,
        chosen.oidc_authority,
    )


def of_sample(sample: Sample, demo: Demo, authority: str = "") -> Registration:
    """One of the local provider's applications, with the secret that it published."""
    return Registration(
        sample.client_id,
        bool(sample.secret),
        sample.secret,
        authority or demo.authority_of(sample),
        name=sample.name,
        redirect_uri=sample.redirect_uri,
    )

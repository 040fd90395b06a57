"""The private keys of `client_credential`: where each shape has them. Read when first needed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyfob.errors import CredentialError
from keyfob.flows.credentials import NamedFile, Watched
from keyfob.protocol.certificate import (
    Thumbprint,
    chain_for,
    parse_certificates,
    parse_pfx,
    parse_private_key,
    parse_thumbprint,
)
from keyfob.protocol.client_assertion import Signer

# Every certificate's DER begins with 0x30 0x82: it is a sequence of some hundred bytes.
_BASE64 = re.compile(rb"\s*MI[A-Za-z0-9+/\s]+={0,2}\s*")


@dataclass(frozen=True)
class Part:
    """One dict of `client_credential`, and what it is called in messages."""

    members: Mapping[str, Any] = field(repr=False)
    name: str

    def name_of(self, member: str) -> str:
        return f"{self.name}[{member!r}]"

    def content(self, member: str) -> bytes | None:
        """A text or bytes; None where it is missing or empty."""
        value = self.members.get(member)
        if isinstance(value, str):
            value = value.encode("utf-8", "surrogatepass")
        if value is not None and not isinstance(value, bytes):
            raise CredentialError(
                f"{self.name_of(member)} is a text, and not of type {type(value).__name__}"
            )
        return value or None

    def pem(self, member: str) -> bytes | None:
        """The same, where it must be PEM."""
        value = self.content(member)
        if value is not None and b"-----BEGIN " not in value:
            raise CredentialError(
                f"{self.name_of(member)} is no PEM text, which has '-----BEGIN ' in it. If it is a "
                "file's path, call it 'private_key_path', and its certificate's 'certificate_path'"
            )
        return value

    def certificates(self, member: str) -> bytes | None:
        """PEM, or as MSAL takes it too: one certificate's base64 with nothing around it."""
        value = self.content(member)
        if value is not None and _BASE64.fullmatch(value):
            return b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----" % value.strip()
        return self.pem(member)

    def path(self, member: str) -> Path:
        value = self.members.get(member)
        path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
        if not isinstance(path, str) or not path or "\0" in path:
            raise CredentialError(f"{self.name_of(member)} is a file's path")
        if path.lstrip().startswith("-----BEGIN "):
            raise CredentialError(
                f"{self.name_of(member)} is a file's path, and not what is in the file; that is "
                "'private_key'"
            )
        return Path(path)

    @property
    def thumbprint(self) -> Thumbprint | None:
        value = self.content("thumbprint")
        return None if value is None else parse_thumbprint(value, self.name_of("thumbprint"))

    @property
    def kid(self) -> str | None:
        value = self.members.get("kid")
        if value is not None and (not isinstance(value, str) or not value):
            raise CredentialError(f"{self.name_of('kid')} is the key's name, as a text")
        return value


def given(part: Part) -> Watched[Signer]:
    """`private_key`: PEM texts that are at hand."""
    name, certificate_name = part.name_of("private_key"), part.name_of("public_certificate")
    key, certificates = part.pem("private_key"), part.certificates("public_certificate")
    passphrase, thumbprint, kid = part.content("passphrase"), part.thumbprint, part.kid
    if key is None:
        raise CredentialError(f"{name} is empty; it is the private key, as a PEM text")
    if certificates is None and thumbprint is None and kid is None:
        raise CredentialError(
            f"{part.name} has a 'private_key', and needs either its 'public_certificate' or that "
            "one's 'thumbprint', so that the provider knows which key it is"
        )

    def make(_: Sequence[bytes]) -> Signer:
        private = parse_private_key(key, passphrase, name)
        chain = parse_certificates(certificates, certificate_name) if certificates else ()
        if chain:
            chain = chain_for(private, chain, certificate_name)
        return Signer(private, chain, thumbprint, kid, sends_chain=True)

    return Watched(make)


def pem_files(part: Part) -> Watched[Signer]:
    """`private_key_path`: PEM files; the certificate may stand in the key's."""
    passphrase, thumbprint, kid = part.content("passphrase"), part.thumbprint, part.kid
    files = [NamedFile(part.path("private_key_path"), part.name_of("private_key_path"))]
    if "certificate_path" in part.members:
        files.append(NamedFile(part.path("certificate_path"), part.name_of("certificate_path")))
    without_certificate = len(files) == 1 and (thumbprint is not None or kid is not None)

    def make(contents: Sequence[bytes]) -> Signer:
        private = parse_private_key(contents[0], passphrase, files[0].shown)
        if without_certificate:
            return Signer(private, (), thumbprint, kid)
        found = parse_certificates(contents[-1], files[-1].shown)
        chain = chain_for(private, found, files[-1].shown)
        return Signer(private, chain, thumbprint, kid, sends_chain=True)

    return Watched(make, files)


def pfx_file(part: Part) -> Watched[Signer]:
    """`private_key_pfx_path`: one file with the key and its certificates.

    `public_certificate` says whether the assertion carries them: True for those in the file, a PEM
    text for others.
    """
    file = NamedFile(part.path("private_key_pfx_path"), part.name_of("private_key_pfx_path"))
    passphrase, kid = part.content("passphrase"), part.kid
    sends = part.members.get("public_certificate") or False
    others = None if isinstance(sends, bool) else part.certificates("public_certificate")
    name = part.name_of("public_certificate")

    def make(contents: Sequence[bytes]) -> Signer:
        private, certificates = parse_pfx(contents[0], passphrase, file.shown)
        chain = chain_for(private, certificates, file.shown)
        if others is not None:
            chain = chain_for(private, parse_certificates(others, name), name)
        return Signer(private, chain, None, kid, sends_chain=bool(sends))

    return Watched(make, [file])

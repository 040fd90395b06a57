"""A certificate for the server on loopback, for https and for clients that pin it."""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from werkzeug.serving import BaseWSGIServer

from keyfob_emulator.keys import new_private_key


class LoopbackCertificate:
    """A self-signed certificate for the loopback names, made when first needed, a year valid."""

    def __init__(self) -> None:
        private = new_private_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        names = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.IPAddress(ipaddress.ip_address("::1")),
        ]
        now = datetime.now(timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(private, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
        der = certificate.public_bytes(serialization.Encoding.DER)
        self.thumbprint = hashlib.sha1(der, usedforsecurity=False).hexdigest()
        key = private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The ssl module reads certificates from files only.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "certificate.pem"
            path.touch(mode=0o600)
            path.write_bytes(key + self.pem.encode("ascii"))
            self._context.load_cert_chain(path)

    def protect(self, server: BaseWSGIServer) -> None:
        """Make a server that has not begun to serve speak TLS.

        The handshake happens in the thread of a connection: a client that connects and says
        nothing must not keep others waiting.
        """
        server.ssl_context = self._context
        server.socket = self._context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )

"""``python -m keyfob_emulator``: run the provider until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

from keyfob_emulator.model import Application, Directory
from keyfob_emulator.server import LOOPBACK_HOSTS, EmulatorServer, PortTaken

DEFAULT_PORT = 8400


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 65536:
        raise ValueError(text)
    return port


_port.__name__ = "port"  # argparse names the type in its message


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m keyfob_emulator",
        description="A local identity provider with Microsoft's v2.0 protocol, for development.",
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--host", choices=LOOPBACK_HOSTS, default="localhost", help="loopback only (default: both)"
    )
    parser.add_argument("--verbose", action="store_true", help="show each request")
    return parser.parse_args(arguments)


def _summary(directory: Directory, url: str) -> Iterator[str]:
    """What is served, ready to paste."""
    yield f"Keyfob local identity provider at {url} (development only)"
    yield ""
    yield "Authorities"
    for segment in ("common", "organizations", "consumers"):
        yield f"  {url}/{segment}"
    for tenant in directory.tenants:
        if tenant.domains:
            yield f"  {url}/{tenant.authority_path}  ({tenant.tenant_id})"
    yield f"  {url}/adfs"
    yield ""
    yield "Accounts (user name, password)"
    width = max((len(account.username) for account in directory.accounts), default=0)
    for account in directory.accounts:
        tenant_of = directory.tenant(account.tenant_id)
        notes = [tenant_of.name if tenant_of else account.tenant_id]
        notes += ["guest of " + t.name for t in map(directory.tenant, account.guest_in) if t]
        notes += [] if account.enabled else ["disabled"]
        about = ", ".join((account.name, *notes))
        yield f"  {account.username:<{width}}  {account.password}  {about}"
    yield ""
    yield "Applications"
    for application in directory.applications:
        if application.redirect_uris or application.secrets:
            yield from _application(application, f"{url}/{directory.authority_path(application)}")
    yield "Ready."


def _application(application: Application, authority: str) -> Iterator[str]:
    yield f"  {application.name}: {application.description}".rstrip(": ")
    yield f"    KEYFOB_AUTHORITY={authority}"
    yield f"    KEYFOB_CLIENT_ID={application.client_id}"
    for secret in application.secrets[:1]:
        yield f"    KEYFOB_CLIENT_SECRET={secret}"
    for uri in application.redirect_uris[:1]:
        yield f"    redirect URI {uri}, on any port"
    for uri in application.identifier_uris:
        scopes = ", ".join(f"{uri}/{scope.value}" for scope in application.scopes)
        yield f"    scopes {scopes}"
    yield ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 after Ctrl-C or SIGTERM, 1 for a taken port."""
    options = _arguments(arguments)
    done = threading.Event()
    # Before anything is printed: who reads "Ready." may end the program at once.
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), lambda *_: done.set())
    server = EmulatorServer(host=options.host, port=options.port, verbose=options.verbose)
    try:
        server.start()
    except PortTaken as taken:
        sys.stderr.write(f"keyfob_emulator: port {taken.port} is already in use\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"keyfob_emulator: cannot listen on port {options.port}: {error}\n")
        return 1
    try:
        for line in _summary(server.emulator.directory, server.url):
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        while not done.wait(0.5):  # A plain wait() cannot be interrupted on Windows.
            pass
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One port of this machine's loopback addresses, IPv4 and IPv6 (RFC 8252 §7.3, §8.3)."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from collections.abc import Sequence

from keyfob.errors import ConfigurationError, LoopbackUnavailable

#: What browsers take `localhost` for: one of them, or one after the other.
LOOPBACK_HOSTS = ("127.0.0.1", "::1")

#: How often another port is tried where the one that IPv4 gave is taken on IPv6.
_TRIES = 20
_BACKLOG = 64
#: What a machine says that has no such address at all.
_NO_SUCH_ADDRESS = frozenset(
    {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPFNOSUPPORT, errno.EPROTONOSUPPORT}
)


def listen(port: int, hosts: Sequence[str] = LOOPBACK_HOSTS) -> list[socket.socket]:
    """Listen on one port of each of the hosts that this machine has.

    All or none: where another program had the port on one of them, it would get the answer of
    every browser that takes `localhost` for that one.

    :param port: 0 for any that is free.
    :raises LoopbackUnavailable: (an OSError) the port is taken, or none of the addresses is there.
    :raises ConfigurationError: (a ValueError) this program may not listen on that port.
    """
    for _ in range(1 if port else _TRIES):
        try:
            found = _listen_on_all(port, hosts)
        except PermissionError:
            raise ConfigurationError(
                f"This program may not listen on port {port}; give another, above 1023, or none",
                code="port_refused",
            ) from None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise LoopbackUnavailable(
                    f"Port {port} of this machine cannot be listened on ({error.strerror})"
                ) from None
            continue
        if found:
            return found
        raise LoopbackUnavailable("This machine has none of the addresses " + ", ".join(hosts))
    if port:
        raise LoopbackUnavailable(
            f"Port {port} is taken by another program, or another sign-in; give another port, or "
            "none, and one that is free is found",
            code="port_taken",
        )
    raise LoopbackUnavailable("No port is free on all of " + ", ".join(hosts), code="port_taken")


def _listen_on_all(port: int, hosts: Sequence[str]) -> list[socket.socket]:
    found: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for host in hosts:
            try:
                listener = _listen_on(host, port)
            except OSError as error:
                if error.errno in _NO_SUCH_ADDRESS:
                    continue
                raise
            undo.callback(listener.close)
            found.append(listener)
            port = listener.getsockname()[1]
        undo.pop_all()
    return found


def _listen_on(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # There, reuse would let two programs have one port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.settimeout(0)
    except BaseException:
        listener.close()
        raise
    return listener

"""The site's public address, and so the redirect URI: from BASE_URL, or from the framework."""

from __future__ import annotations

from urllib.parse import urlsplit

from keyfob.errors import ConfigurationError
from keyfob.protocol.urls import is_loopback_host
from keyfob.web.exchange import WebRequest

_CURE = (
    "Set BASE_URL to the site's public address, or let the framework know that a proxy is before "
    "it (Flask: werkzeug.middleware.proxy_fix.ProxyFix; Django: SECURE_PROXY_SSL_HEADER and "
    "USE_X_FORWARDED_HOST)."
)


def public_url(request: WebRequest, path: str, base_url: str | None) -> str:
    """The absolute address under which people reach `path` (a path of ours, with mount point).

    :raises ConfigurationError: it would be plain http on a public host, or the framework believes
        http where a proxy says that the person came by https. Providers refuse both, with an
        error that names neither cause.
    """
    if base_url is not None:
        prefix = urlsplit(base_url).path
        local = path
        if prefix:
            local = prefix + path.removeprefix(request.root_path)
        return base_url.removesuffix(prefix) + local
    _judge_scheme(request)
    return request.origin + path


def cookie_is_secure(request: WebRequest, base_url: str | None) -> bool:
    return (base_url or request.origin).startswith("https://")


def _judge_scheme(request: WebRequest) -> None:
    if request.scheme == "https":
        return
    if came_by_https(request):
        raise ConfigurationError(
            f"This site believes it is at {request.origin}, but a proxy before it says that "
            f"people come by https. {_CURE}",
            setting="BASE_URL",
            code="behind_proxy",
        )
    host = urlsplit(f"//{request.host}").hostname
    if not is_loopback_host(host):
        raise ConfigurationError(
            f"This site is at {request.origin}, which is plain http: sign-in needs https, except "
            f"on this machine itself. If people do come by https, a proxy hides it. {_CURE}",
            setting="BASE_URL",
            code="plain_http",
        )


def came_by_https(request: WebRequest) -> bool:
    """Whether a header that proxies set says https. Only to explain; it is never trusted."""
    headers = request.headers
    forwarded = headers.get("forwarded", "").lower().replace('"', "").replace(" ", "")
    return (
        headers.get("x-forwarded-proto", "").split(",")[0].strip().lower() == "https"
        or headers.get("x-forwarded-scheme", "").lower() == "https"
        or headers.get("x-forwarded-ssl", "").lower() == "on"
        or headers.get("front-end-https", "").lower() == "on"
        or "proto=https" in forwarded
    )

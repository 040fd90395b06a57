"""HTTP around the provider: application factory, addresses, headers, how errors are told."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request
from werkzeug.wsgi import get_host

from keyfob_emulator.authorities import Authority, locate
from keyfob_emulator.clouds import cloud_of, cloud_of_graph
from keyfob_emulator.errors import Incident, ProtocolError
from keyfob_emulator.managed_identity import AGENT_PREFIXES
from keyfob_emulator.model import GRAPH_URL, Directory, is_guid
from keyfob_emulator.parameters import Parameters
from keyfob_emulator.realm import Realm
from keyfob_emulator.sessions import BrowserSession
from keyfob_emulator.state import Emulator

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

EXTENSION: Final = "keyfob_emulator"
AUTHORITY: Final = "keyfob_emulator.authority"
_HANG_UP: Final = "keyfob_emulator.hang_up"
MICROSOFT_LOGIN: Final = "https://login.microsoftonline.com"
FEDERATION_HOST: Final = "https://sts.northwind.example"
_LOOPBACK_HOST: Final = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(?::([0-9]{1,5}))?")
_MAXIMUM_BODY: Final = 1024 * 1024


@dataclass(frozen=True)
class Provider:
    """What the views work with: the state, and where it is reachable."""

    emulator: Emulator
    base_url: str | None
    graph_url: str | None
    origins: frozenset[str] = frozenset()

    def address(self, origin: str) -> str:
        """The address of the provider for a request that came to an origin.

        Graph has the address of its cloud's sign-in host. An origin nobody gave the provider is the
        ``base_url``, or itself without one.
        """
        if origin in self.origins and origin not in AGENT_PREFIXES:
            cloud = cloud_of_graph(urlsplit(origin).netloc)
            return cloud.login_url if cloud else origin
        return self.base_url or origin

    @property
    def hosts(self) -> frozenset[str]:
        """The host names it answers to besides the loopback ones."""
        urls = {*self.origins, self.base_url, self.graph_url, self.federation_url}
        return frozenset(urlsplit(url).netloc for url in urls if url)

    @property
    def federation_url(self) -> str | None:
        """Where the federation service is: on a host of its own in the place of Microsoft's."""
        return FEDERATION_HOST if self.base_url == MICROSOFT_LOGIN else self.base_url


def create_app(
    emulator: Emulator | None = None,
    *,
    directory: Directory | None = None,
    base_url: str | None = None,
    graph_url: str | None = None,
    origins: Iterable[str] = (),
    clock: Callable[[], float] | None = None,
) -> Flask:
    """The provider as a Flask application.

    Give an :class:`Emulator` to keep hold of its state, or a directory and a clock to have one
    made. ``base_url`` fixes the address in metadata and tokens, for running in the place of another
    host; without it the address is the one a request came to, which must be a loopback one.
    ``graph_url`` is where Microsoft Graph is said to be: Graph's own address in the place of
    Microsoft's sign-in host, else the provider itself. ``origins`` are further addresses it stands
    in the place of (``https://login.microsoftonline.us``), each an authority of its own.
    """
    from keyfob_emulator.views import (
        admin_consent,
        control,
        device,
        discovery,
        federation,
        graph,
        graph_groups,
        home,
        managed_identity,
        sign_in,
        sign_out,
        token,
    )

    if emulator is None:
        emulator = Emulator(directory, clock=clock)
    elif directory is not None or clock is not None:
        raise TypeError("give either an Emulator, or a directory and a clock, not both")
    base_url = base_url.rstrip("/") if base_url else None
    places = frozenset(origin.rstrip("/").lower() for origin in origins)
    known = Provider(emulator, base_url, graph_url, places)
    app = Flask("keyfob_emulator", static_url_path="/-/assets")
    app.config.update(
        MAX_CONTENT_LENGTH=_MAXIMUM_BODY,
        MAX_FORM_MEMORY_SIZE=_MAXIMUM_BODY,
        SEND_FILE_MAX_AGE_DEFAULT=3600,
        TEMPLATES_AUTO_RELOAD=False,
    )
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions[EXTENSION] = known
    app.wsgi_app = AuthorityRouting(app.wsgi_app, known)  # type: ignore[method-assign]
    app.before_request(_begin)
    app.after_request(_finish)
    app.register_error_handler(ProtocolError, _json_error)
    app.register_error_handler(HTTPException, _http_error)
    modules = (
        home,
        discovery,
        sign_in,
        admin_consent,
        device,
        token,
        federation,
        sign_out,
        graph,
        graph_groups,
        managed_identity,
        control,
    )
    for module in modules:
        app.register_blueprint(module.blueprint)
    return app


class AuthorityRouting:
    """WSGI middleware: notes which authority a request came to, and gives the views its path."""

    def __init__(self, application: WSGIApplication, known: Provider) -> None:
        self._application = application
        self._known = known

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        state = self._known.emulator
        origin = f"{environ['wsgi.url_scheme']}://{get_host(environ)}".lower()
        if origin in self._known.origins:
            environ["PATH_INFO"] = AGENT_PREFIXES.get(origin, "") + environ.get("PATH_INFO", "")
        asked = Request(environ)
        environ[AUTHORITY], environ["PATH_INFO"] = locate(
            self._known.address(origin),
            environ.get("PATH_INFO") or "/",
            asked.args.get("p"),
            state.directory,
            state.home_tenant,
        )
        answer = self._application(environ, start_response)
        if environ.get(_HANG_UP):
            # Nothing was sent yet: the server closes the connection, and that is all.
            raise ConnectionResetError("hung up, as a test asked for")
        return answer


# Where the request came to


def provider() -> Provider:
    """The provider of the running application."""
    return cast("Provider", current_app.extensions[EXTENSION])


def emulator() -> Emulator:
    """The state of the running application."""
    return provider().emulator


def authority() -> Authority:
    """The authority this request came to."""
    return cast("Authority", request.environ[AUTHORITY])


def base_url() -> str:
    """The address this request reached the provider at, or the one it was given."""
    return authority().address


def _graph_url() -> str:
    known = provider()
    if known.graph_url:
        return known.graph_url
    cloud = authority().cloud or cloud_of(urlsplit(known.base_url or "").netloc)
    return cloud.graph_url if cloud else base_url()


def graph_urls() -> tuple[str, ...]:
    """Every address that means Microsoft Graph here; the first one is announced."""
    base = _graph_url()
    # msgraph_host carries no scheme, and clients usually put https:// before it.
    secure = "https://" + urlsplit(base).netloc
    return tuple(dict.fromkeys((base, secure, GRAPH_URL)))


def federation_url() -> str:
    """The address of the organisations' federation service, without a slash at its end."""
    return provider().federation_url or base_url()


def realm(segment: str) -> Realm:
    """The realm of the path."""
    return Realm.resolve(segment, emulator().directory, authority())


def query_parameters() -> Parameters:
    """The parameters of the query string."""
    return Parameters(request.args.to_dict(flat=False))


def form_parameters() -> Parameters:
    """The parameters of the body."""
    return Parameters(request.form.to_dict(flat=False))


def _host_allowed() -> bool:
    """Only loopback names with this server's port: a page elsewhere must not reach it by a name of
    its own (DNS rebinding), and no token may carry a made-up issuer."""
    if request.host in provider().hosts:
        return True
    match = _LOOPBACK_HOST.fullmatch(request.host)
    if match is None:
        return False
    port = match[2] or ("443" if request.scheme == "https" else "80")
    return port == str(request.environ.get("SERVER_PORT", port))


def _begin() -> Response | None:
    given = request.headers.get("client-request-id", "")
    g.correlation_id = given if is_guid(given) else str(uuid.uuid4())
    g.csp_nonce = secrets.token_urlsafe(16)
    if not _host_allowed():
        text = "This provider answers on loopback addresses only.\n"
        return Response(text, 400, content_type="text/plain; charset=utf-8")
    return None


def take_failure(endpoint: str) -> Response | None:
    """The answer to give instead, when a test asked for one."""
    failure = emulator().take_failure(endpoint)
    if failure is None:
        return None
    request.environ[_HANG_UP] = failure.hang_up
    kind = "application/json" if failure.body.startswith("{") else "text/plain"
    response = Response(failure.body, failure.status, content_type=f"{kind}; charset=utf-8")
    if failure.retry_after is not None:
        response.headers["Retry-After"] = str(failure.retry_after)
    return response


# The browser's session


def cookie_name() -> str:
    """One name per port: browsers share the cookies of a host between all its ports."""
    return f"keyfob_emulator_{urlsplit(base_url()).port or 'session'}"


def session() -> BrowserSession | None:
    """The session of this browser, if it has one."""
    if "browser_session" not in g:
        state = emulator()
        value = request.cookies.get(cookie_name())
        g.browser_session = state.sessions.find(value, state.lifetimes.session)
    return cast("BrowserSession | None", g.browser_session)


def ensure_session() -> BrowserSession:
    """The session of this browser, made if it has none."""
    found = session()
    if found is None:
        found = g.browser_session = emulator().sessions.create()
        g.session_changed = True
    return found


def renew_session() -> None:
    """Give the browser's session a new id, as every sign-in must."""
    emulator().sessions.renew(ensure_session())
    g.session_changed = True


# Answers


def go_to(place: str) -> Response:
    """A redirect. After a form 303: no browser may send the password on (RFC 9700 4.12)."""
    status = 303 if request.method == "POST" else 302
    return Response(status=status, headers={"Location": place})


def _finish(response: Response) -> Response:
    headers = response.headers
    headers["x-ms-request-id"] = str(uuid.uuid4())
    headers["client-request-id"] = g.correlation_id
    headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint != "static":
        headers.setdefault("Cache-Control", "no-store")
        headers.setdefault("Pragma", "no-cache")
    if g.get("session_changed"):
        response.set_cookie(
            cookie_name(),
            ensure_session().session_id,
            httponly=True,
            samesite="Lax",
            secure=base_url().startswith("https:"),
            path="/",
        )
    return response


def page(
    template: str,
    status: int = 200,
    *,
    form_targets: tuple[str, ...] = (),
    frames: tuple[str, ...] = (),
    **context: Any,
) -> Response:
    """An HTML page with a strict policy: no scripts but those with the nonce, no framing."""
    html = render_template(f"keyfob_emulator/{template}", csp_nonce=g.csp_nonce, **context)
    response = make_response(html, status)
    policy = {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "script-src": f"'nonce-{g.csp_nonce}'",
        "form-action": " ".join(("'self'", *form_targets)),
        "frame-src": " ".join(frames) or "'none'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    response.headers["Content-Security-Policy"] = "; ".join(f"{k} {v}" for k, v in policy.items())
    response.headers["X-Frame-Options"] = "DENY"
    # Not "no-referrer": browsers would then send "Origin: null" with the form_post answer.
    response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    return response


def incident(error: ProtocolError) -> Incident:
    """The telling of an error in this request."""
    return Incident(error, emulator().now(), g.correlation_id)


def error_page(
    error: ProtocolError, *, action: str | None = None, csrf_token: str | None = None
) -> Response:
    """An error a person has to read, because there is no application to tell it to.

    With ``action`` the page offers to go on with another account.
    """
    told = incident(error)
    return page("error.html", error.status, incident=told, action=action, csrf_token=csrf_token)


def _json_error(error: ProtocolError) -> Response:
    response = jsonify(incident(error).as_json(base_url()))
    response.status_code = error.status
    if error.status == 401 and request.headers.get("Authorization", "").lower().startswith("basic"):
        # RFC 6749 section 5.2: answer the scheme the client used.
        response.headers["WWW-Authenticate"] = 'Basic realm="keyfob_emulator"'
    return response


def _http_error(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < 400:
        return error
    text = f"{error.code} {error.name}\n"
    response = Response(text, error.code, content_type="text/plain; charset=utf-8")
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers["Allow"] = value
    return response

"""`request.keyfob`, and answers for what views need and do not have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject

from django_keyfob.attach import aattach_tokens, attach_tokens
from django_keyfob.conf import current_site
from django_keyfob.exchange import NAMESPACE, is_answer, to_response, web_request
from django_keyfob.session import KeyfobSession, is_over
from keyfob.errors import ConfigurationError, InteractionRequired, KeyfobError
from keyfob.web.audience import wants_page
from keyfob.web.bearer_answers import WELL_KNOWN

_REDIRECTS = (301, 302, 303, 307)
#: What no guard asks for: a view that sends to our login with one of these means what it says.
_MEANT = frozenset({"flow", "add"})


class KeyfobMiddleware:
    """Hangs one lazy object on the request. A page that does not touch it costs nothing.

    :raises ImproperlyConfigured: at the start of the server, when a setting is wrong.
    """

    sync_capable = True
    async_capable = True

    def __init__(
        self,
        get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]],
    ) -> None:
        try:
            site = current_site()
        except ConfigurationError as error:
            # Servers run no system checks.
            raise ImproperlyConfigured(f"Keyfob's settings cannot be used.\n{error}") from error
        self._get_response: Callable[[HttpRequest], Any] = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        if site.members.attached:
            # Only then: Django calls it for each request.
            self.process_view = aattach_tokens if self._is_async else attach_tokens

    def __call__(self, request: HttpRequest) -> Any:
        if self._is_async:
            return self._acall(request)
        _open(request)
        response: HttpResponseBase = self._get_response(request)
        if _asks_about_the_api(request, response):
            return _about_the_api(request)
        if _leads_to_login(request, response):
            return _better_than_login(request, response)
        return _challenging(request, response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        _open(request)
        response: HttpResponseBase = await self._get_response(request)
        if _asks_about_the_api(request, response):
            return await sync_to_async(_about_the_api)(request)
        if _leads_to_login(request, response):
            return await sync_to_async(_better_than_login)(request, response)
        return _challenging(request, response)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """Answer for a view that needed a sign-in, a consent, a token, or the provider.

        A ConfigurationError is the developer's, and stays what it is: loud in the log, a traceback
        in debug mode, the site's own 500 page for people.
        """
        if not isinstance(exception, KeyfobError) or isinstance(exception, ConfigurationError):
            return None
        if settings.DEBUG and exception.code == "no_table":
            # Django's debug page tells the developer more than a page for visitors would.
            return None
        return to_response(request, current_site().handle(web_request(request), exception))


def _open(request: HttpRequest) -> None:
    keyfob = request.keyfob = KeyfobSession(current_site(), request)  # type: ignore[attr-defined]
    if hasattr(request, "user"):
        _leave_out_what_is_over(request, keyfob)


def _leave_out_what_is_over(request: HttpRequest, keyfob: KeyfobSession) -> None:
    """Whoever was signed out elsewhere, may not sign in any more, or is of a tenant that was taken
    out of ALLOWED_TENANTS, is out for Django's own guards as well. Whoever stays is kept.

    As lazy as what Django put there: nothing is read before somebody asks who the user is.
    """
    from django.contrib.auth.models import AnonymousUser

    user, auser = request.user, getattr(request, "auser", None)

    def may_stay() -> bool:
        return not is_over(request) and (not keyfob.is_ours or keyfob.goes_on())

    def current() -> Any:
        return user if may_stay() else AnonymousUser()

    async def acurrent() -> Any:
        if auser is None:
            return AnonymousUser()
        found = await auser()
        # Loaded once: what is asked next need not read the user again.
        keyfob.users = (found, judged)
        return found if await sync_to_async(may_stay)() else AnonymousUser()

    judged = SimpleLazyObject(current)
    request.user = judged  # type: ignore[assignment]
    request.auser = acurrent
    keyfob.users = (user, judged)


def _asks_about_the_api(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Whether this is the one address of ours that is below the site's root (RFC 9728 §3), and the
    project has no page of its own there."""
    return (
        response.status_code == 404
        and request.path_info == WELL_KNOWN
        and request.method in ("GET", "HEAD")
    )


def _about_the_api(request: HttpRequest) -> HttpResponseBase:
    return to_response(request, current_site().protected_resource(web_request(request)))


def _challenging(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The same, with what the token of a caller lacks who got a 403 of Django REST framework's."""
    challenge = request.keyfob.challenge if response.status_code == 403 else ""  # type: ignore[attr-defined]
    if challenge and "WWW-Authenticate" not in response.headers:
        response.headers["WWW-Authenticate"] = challenge
    return response


def _leads_to_login(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Whether a stock decorator or mixin, or `LoginRequiredMiddleware`, sends to our login view."""
    if response.status_code not in _REDIRECTS or is_answer(response):
        return False
    location = urlsplit(response.headers.get("Location", ""))
    if _authority_at(location.path) is None:
        return False
    if not _MEANT.isdisjoint(name for name, _ in parse_qsl(location.query)):
        return False
    return not location.netloc or location.netloc == request.get_host()


def _authority_at(path: str) -> str | None:
    """Whose login view has that path; None where it is another view's."""
    try:
        login = reverse(f"{NAMESPACE}:login")
    except NoReverseMatch:
        return None
    if path == login:
        return ""
    name = path.removeprefix(f"{login}/")
    return name if name != path and current_site().members.find(name) is not None else None


def _better_than_login(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """A redirect to the login view does for a person who is not signed in and reads a page.

    A script gets a problem document. A form that was sent comes back to the page it was on. And
    who is signed in already is sent there only so often: they lack a permission, say, and the
    provider would send them straight back, in circles.
    """
    asked = web_request(request)
    site = current_site()
    signed_in = site.session(asked.session).is_signed_in
    if not signed_in and wants_page(asked) and asked.method in ("GET", "HEAD"):
        return response
    error = InteractionRequired(
        "A view sent to the login address",
        authority=_authority_at(urlsplit(response.headers["Location"]).path) or None,
        code=None if signed_in else "not_signed_in",
    )
    return to_response(request, site.handle(asked, error))

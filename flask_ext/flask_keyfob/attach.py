"""Tokens that are ready before a view runs (`attach_to` of KEYFOB_DOWNSTREAM_APIS)."""

from __future__ import annotations

from flask import request

from flask_keyfob.proxies import web_session
from keyfob.web.attached import AttachedApis


def attach_tokens(attached: AttachedApis) -> None:
    """Have the tokens ready that the request's path asks for, in `g.keyfob.tokens`.

    :param attached: the site's. Any other path is looked at once, and that is all.
    :raises KeyfobError: one cannot be had; it is answered as where a view raises it.
    """
    if (
        attached.names(request.path)
        and attached.are_for(request.method, request.headers.get("Authorization"))
        and _is_for_a_view(request.endpoint)
    ):
        web_session().attach(request.path)


def _is_for_a_view(endpoint: str | None) -> bool:
    """Whether a view of the app's own will run: no 404, no file, and nothing of ours."""
    if endpoint is None or request.blueprint == "keyfob":
        return False
    return endpoint.rpartition(".")[2] != "static"

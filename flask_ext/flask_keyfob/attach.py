"""Tokens that are ready before a view runs (`attach_to` of KEYFOB_DOWNSTREAM_APIS)."""

from __future__ import annotations

from flask import request

from flask_keyfob.proxies import current_site, web_session


def attach_tokens() -> None:
    """Have the tokens ready that the request's path asks for, in `g.keyfob.tokens`.

    :raises KeyfobError: one cannot be had; it is answered as where a view raises it.
    """
    authorization = request.headers.get("Authorization")
    names = current_site().attached.for_request(request.method, request.path, authorization)
    if names and _is_for_a_view(request.endpoint):
        web_session().attach(names)


def _is_for_a_view(endpoint: str | None) -> bool:
    """Whether a view of the app's own will run: no 404, no file, and nothing of ours."""
    if endpoint is None or request.blueprint == "keyfob":
        return False
    return endpoint.rpartition(".")[2] != "static"

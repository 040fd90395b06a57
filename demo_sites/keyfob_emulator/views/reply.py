"""Answers to the application, through the browser, in the response mode it asked for.

OAuth 2.0 Multiple Response Type Encoding Practices section 2.1, OAuth 2.0 Form Post Response Mode.
"""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response

from keyfob_emulator import web
from keyfob_emulator.authorize import ReplyAddress
from keyfob_emulator.errors import ProtocolError
from keyfob_emulator.redirects import csp_source, with_fragment, with_query


def send(reply: ReplyAddress, answer: Mapping[str, str]) -> Response:
    """The answer on its way: a redirect, or a form that posts itself."""
    values = dict(answer)
    if reply.state is not None:
        values["state"] = reply.state
    if reply.response_mode == "form_post":
        return web.page(
            "form_post.html",
            form_targets=(csp_source(reply.redirect_uri),),
            action=reply.redirect_uri,
            fields=values,
            client=reply.client,
        )
    place = with_fragment if reply.response_mode == "fragment" else with_query
    return web.go_to(place(reply.redirect_uri, values))


def send_error(reply: ReplyAddress, error: ProtocolError, **more: str) -> Response:
    """An error for the application (RFC 6749 section 4.1.2.1)."""
    told = web.incident(error)
    answer = {
        "error": error.error,
        "error_description": told.description,
        "error_uri": f"{web.base_url()}/error?code={error.code}",
        **more,
    }
    return send(reply, answer)

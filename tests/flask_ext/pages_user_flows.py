"""A page with links to user flows, and one that renews a token, for a Flask site."""

from __future__ import annotations

from flask import Flask, g, jsonify, redirect, render_template_string
from flask.typing import ResponseReturnValue

from flask_keyfob import login_required, login_url
from support.provider import claims_of

LINKS = """<!doctype html>
<title>Links</title>
<a href="{{ keyfob_login_url(next='/profile', flow='edit_profile') }}">Edit</a>
<a href="{{ keyfob_login_url(next='/profile', flow='sign_up') }}">Sign up</a>
"""
WRONG_LINK = "{{ keyfob_login_url(flow='no_such_flow') }}"


def add_pages(app: Flask) -> None:
    @app.get("/links")
    def links() -> str:
        return render_template_string(LINKS)

    @app.get("/wrong-link")
    def wrong_link() -> str:
        return render_template_string(WRONG_LINK)

    @app.get("/profile")
    def profile() -> str:
        return f'<p id="who">{g.keyfob.user.name or "Nobody"}</p>'

    @app.get("/edit")
    def edit() -> ResponseReturnValue:
        return redirect(login_url("/profile", flow="edit_profile"))

    @app.get("/renewed")
    @login_required
    def renewed() -> ResponseReturnValue:
        claims = claims_of(g.keyfob.token(api="api", force_refresh=True))
        return jsonify({**claims, "key": g.keyfob.user.key})

"""The browser the test suites drive their sites with."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask import Flask, Response, jsonify, redirect, request
from werkzeug.serving import make_server

from support.form_browser import FormBrowser

PAGE = """<!doctype html><title>The &amp; title</title><h1>Hello <b>you</b></h1>
<script>document.write("<form action=/script></form>")</script>
<a href="next?x=1#f">Read <i>on</i></a> <a href="/elsewhere">Elsewhere</a>
<form action="/echo" method="post" id="first">
  <input type="hidden" name="token" value="t&quot;1"><input name="name" value="old">
  <input type="checkbox" name="on" checked><input type="checkbox" name="off" value="1">
  <input type="radio" name="r" value="1"><input type="radio" name="r" value="2" checked>
  <select name="s"><option value="a">A</option><option selected>B</option></select>
  <select name="d"><option>first</option><option>second</option></select>
  <textarea name="text">some
text</textarea>
  <input name="nope" disabled value="x"><input value="nameless"><input type="file" name="file">
  <button type="button" name="plain">Plain</button>
  <button name="act" value="save">Save <b>it</b></button>
  <input type="submit" name="act" value="Delete">
  <button formaction="/echo?other" formmethod="get" name="act" value="get">Get</button>
</form>
<button form="first" name="act" value="outside">Outside</button>
<form action="/echo?q=0"><input name="q" value="1"><button>Search</button></form>
"""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    app = Flask(__name__)
    app.add_url_rule("/", "page", lambda: PAGE)
    app.add_url_rule("/next", "next", lambda: jsonify(request.args))
    app.add_url_rule("/loop", "loop", lambda: redirect("/loop"))
    app.add_url_rule("/away", "away", lambda: redirect("http://localhost:1/x?y#z"))

    @app.route("/echo", methods=["GET", "POST"])
    def echo() -> Response:
        values = {**request.args.to_dict(flat=False), **request.form.to_dict(flat=False)}
        seen = {n: request.headers.get(n) for n in ("Origin", "Referer", "Cookie")}
        return jsonify(method=request.method, values=values, seen=seen)

    @app.post("/keep")
    def keep() -> Response:
        response = redirect("/echo", int(request.args["code"]))
        response.set_cookie("biscuit", "1")
        return response  # type: ignore[return-value]

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def browser() -> Iterator[FormBrowser]:
    with FormBrowser(stop_at=("http://localhost:1/",)) as made:
        yield made


DEFAULTS = {
    "token": ['t"1'],
    "name": ["old"],
    "on": ["on"],
    "r": ["2"],
    "s": ["B"],
    "d": ["first"],
    "text": ["some text"],
}


def test_a_page_shows_title_headings_links_and_text(site: str, browser: FormBrowser) -> None:
    page = browser.open(site)
    assert page.title == "The & title"
    assert page.headings == ["Hello you"]
    assert [link.text for link in page.links] == ["Read on", "Elsewhere"]
    assert "document.write" not in page.text
    assert len(page.forms) == 2
    assert page.follow("Read on").response.json() == {"x": "1"}
    with pytest.raises(LookupError, match="no link"):
        page.follow("Nowhere")


def test_a_form_sends_what_a_browser_would(site: str, browser: FormBrowser) -> None:
    page = browser.open(site)
    sent = page.submit().response.json()
    assert sent["method"] == "POST"
    assert sent["values"] == {**DEFAULTS, "act": ["save"]}
    assert sent["seen"]["Origin"] == site
    assert sent["seen"]["Referer"].startswith(site)


def test_fields_are_filled_in_and_buttons_chosen(site: str, browser: FormBrowser) -> None:
    page = browser.open(site)
    sent = page.submit(button="Save it", name="new", off="1", fields={"d": "second"})
    values = sent.response.json()["values"]
    assert values == {**DEFAULTS, "act": ["save"], "name": ["new"], "off": ["1"], "d": ["second"]}
    assert page.submit(button="Delete").response.json()["values"]["act"] == ["Delete"]
    assert page.submit(button="Outside").response.json()["values"]["act"] == ["outside"]
    assert page.submit(button="act=save").response.json()["values"]["act"] == ["save"]
    got = page.submit(button="Get").response.json()
    assert (got["method"], got["values"]["act"]) == ("GET", ["get"])
    assert page.submit(q="2").response.json()["values"] == {"q": ["2"]}
    with pytest.raises(LookupError, match="no form with button 'Plain'"):
        page.submit(button="Plain")


@pytest.mark.parametrize(("code", "method"), [(302, "GET"), (303, "GET"), (307, "POST")])
def test_redirects_keep_cookies_and_change_the_method_as_browsers_do(
    site: str, browser: FormBrowser, code: int, method: str
) -> None:
    page = browser.send("post", f"{site}/keep?code={code}", [("a", "b")], referrer=site)
    sent = page.response.json()
    assert sent["method"] == method
    assert sent["seen"]["Cookie"] == "biscuit=1"
    assert sent["values"] == ({"a": ["b"]} if method == "POST" else {})
    assert page.hops == [f"{site}/keep?code={code}", f"{site}/echo"]


def test_a_redirect_to_a_place_to_stop_at_is_not_followed(site: str, browser: FormBrowser) -> None:
    page = browser.open(f"{site}/away")
    assert page.url == "http://localhost:1/x?y#z"
    assert page.status == 302


def test_endless_redirects_end(site: str, browser: FormBrowser) -> None:
    with pytest.raises(RuntimeError, match="more than 20 redirects"):
        browser.open(f"{site}/loop")
    browser.follow_redirects = False
    assert browser.open(f"{site}/loop").status == 302

"""The loopback port's pages: for a person, complete, escaped, and of no use to anybody else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.errors import ConfigurationError
from keyfob.transport import loopback_pages
from keyfob.transport.loopback_pages import PageTemplates, Reply, bad_request_reply

OURS = PageTemplates()
PAGES = {
    "success": OURS.answer_page({"code": "c", "state": "s"}),
    "error": OURS.answer_page({"error": "access_denied", "error_uri": "https://idp.example/e"}),
    "bare error": OURS.answer_page({"error": "server_error"}),
    "wrong state": loopback_pages.wrong_state_page(),
    "no answer": loopback_pages.no_answer_page(),
    "nothing here": loopback_pages.nothing_here_page(),
}
each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(page: Reply) -> str:
    return page.body.decode()


@each_page
def test_a_page_stands_alone_says_what_it_is_and_what_to_do(page: Reply) -> None:
    seen = Elements(text_of(page))
    assert set(seen.links) <= {"data:,", "https://idp.example/e"}
    assert not {"script", "img", "iframe", "form", "object"} & set(seen.tags)
    assert seen.tags.count("h1") == 1
    assert re.search("close this page|program", seen.text)
    assert "$" not in text_of(page)


@each_page
def test_a_page_may_do_nothing_in_a_browser(page: Reply) -> None:
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"


def test_a_refusal_is_told_in_the_providers_words() -> None:
    page = OURS.answer_page(
        {"error": "access_denied", "error_description": "AADSTS65004: declined", "state": "s"}
    )
    seen = Elements(text_of(page)).text
    assert "cancelled" in seen
    assert "access_denied" in seen
    assert "AADSTS65004: declined" in seen


@given(st.dictionaries(st.sampled_from(["error", "error_description", "error_uri"]), st.text()))
def test_nothing_in_an_answer_becomes_markup(parameters: dict[str, str]) -> None:
    page = OURS.answer_page({"error": "e", **parameters})
    own = PageTemplates(error="<p>$error</p><p>$error_description</p><a href='$error_uri'>x</a>")
    assert set(Elements(text_of(page)).tags) <= {
        "html", "head", "meta", "link", "title", "style", "body", "main", "h1", "p", "footer",
        "code", "a",
    }  # fmt: skip
    seen = Elements(text_of(own.answer_page({"error": "e", **parameters})))
    assert seen.tags == ["p", "p", "a"]
    assert all(link == "" or link.startswith(("http://", "https://")) for link in seen.links)


class TestTemplates:
    def test_an_html_template_gets_escaped_values(self) -> None:
        page = PageTemplates(error="<html>$error</html>").answer_page({"error": "<tag>foo</tag>"})
        assert text_of(page) == "<html>&lt;tag&gt;foo&lt;/tag&gt;</html>"
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"

    def test_another_template_is_plain_text(self) -> None:
        page = PageTemplates(error="No: ${error} <b>").answer_page({"error": "<tag>"})
        assert text_of(page) == "No: <tag> <b>"
        assert page.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert page.headers["X-Content-Type-Options"] == "nosniff"

    def test_what_the_provider_does_not_say_is_empty(self) -> None:
        template = "$error|$error_description|$error_uri|$state|$code"
        page = PageTemplates(error=template).answer_page({"error": "e", "state": "s"})
        assert text_of(page) == "e||||"

    def test_dollars_that_are_no_placeholders_stay(self) -> None:
        page = PageTemplates(success="$ 5, $$6, $5, $other, ${").answer_page({"code": "c"})
        assert text_of(page) == "$ 5, $6, $5, $other, ${"

    def test_a_success_page_may_have_the_answers_harmless_parameters_and_no_code(self) -> None:
        page = PageTemplates(success="$iss $code$state$client_info!").answer_page(
            {"iss": "https://idp", "code": "c", "state": "s", "client_info": "i"}
        )
        assert text_of(page) == "https://idp !"

    def test_the_welcome_page_leads_on_and_back(self) -> None:
        page = PageTemplates(welcome="<a href='$auth_uri'>on</a><a href='$abort_uri'>off</a>")
        seen = Elements(text_of(page.welcome_page("https://x/?a=1&b='", "http://localhost:1/?e")))
        assert seen.links == ["https://x/?a=1&b='", "http://localhost:1/?e"]

    def test_own_pages_may_use_their_own_styles_but_stand_in_no_frame(self) -> None:
        page = PageTemplates(success="<style></style>").answer_page({"code": "c"})
        assert page.headers["Content-Security-Policy"] == "frame-ancestors 'none'; base-uri 'none'"

    @pytest.mark.parametrize("name", ["welcome", "success", "error"])
    def test_what_is_no_text_is_refused_before_anybody_waits(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match=f"{name}_template"):
            PageTemplates(**{name: b"<"})  # type: ignore[arg-type]


def test_a_reply_is_http() -> None:
    data = bad_request_reply(405).to_bytes()
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 405 Method Not Allowed"
    assert {"Allow: GET, HEAD, POST", f"Content-Length: {len(body)}", "Connection: close"} <= set(
        lines
    )
    assert bad_request_reply(405).to_bytes(with_body=False) == head + b"\r\n\r\n"

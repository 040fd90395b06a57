"""The examples of docs/calling-apis.md, put into one Flask site and visited."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_ext.site import RunningSite, running_site
from support.downstream_api import Api, running_api
from support.form_browser import FormBrowser
from support.provider import Provider
from support.provider_http import Reply

PAGE = Path(__file__).parents[2] / "docs" / "calling-apis.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with running_api() as api:
        for path in ("orders", "summary", "open", "closed", "blobs"):
            api.replies[f"/v1/{path}"] = Reply(200, {}, b'{"path": "%b"}' % path.encode())
        yield api


@pytest.fixture(scope="module")
def site(api: Api) -> Iterator[RunningSite]:
    def add_examples(app: Flask) -> None:
        names: dict[str, Any] = {"app": app}
        for block in BLOCKS:
            here = block.replace("https://orders.contoso.example", api.base)
            here = here.replace('/v1/blobs"))', '/v1/blobs"), enforce_https=False)')
            here = here.replace("api://orders/", "api://one/").replace("Orders.Read", "orders.read")
            exec(compile(here, str(PAGE), "exec"), names)

    with (
        Provider(entra=True) as provider,
        running_site(provider.settings(), before_init=add_examples) as site,
    ):
        yield site
        assert site.errors == []


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/orders", {"path": "orders"}),
        ("/orders/summary", {"path": "summary"}),
        ("/orders/both", [{"path": "open"}, {"path": "closed"}]),
        ("/orders/azure", {"path": "blobs"}),
    ],
)
def test_an_example_does_what_it_says(
    site: RunningSite, api: Api, path: str, shown: object
) -> None:
    api.requests.clear()
    with FormBrowser() as browser:
        page = browser.open(site.url + path)
    assert page.url == site.url + path
    assert page.response.json() == shown
    assert all(token and token.startswith("Bearer ") for token in api.tokens)


def test_every_example_was_tried() -> None:
    assert len(BLOCKS) == 6

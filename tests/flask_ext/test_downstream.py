"""Calls to APIs from a Flask site."""

from __future__ import annotations

from functools import partial

import pytest
from flask import Flask, g, jsonify
from flask.typing import ResponseReturnValue

pytest.register_assert_rewrite("support.contract_downstream", "support.emulator_logouts")

from flask_ext.site import running_site  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.contract_downstream import (  # noqa: E402
    DownstreamContract,
    EmulatorDownstream,
    azure_call,
    httpx_call,
)


def add_pages(app: Flask) -> None:
    def address() -> str:
        return str(app.config["KEYFOB_DOWNSTREAM_APIS"]["api"]["base_url"])

    @app.get("/httpx")
    async def by_httpx() -> ResponseReturnValue:
        return jsonify(await httpx_call(g.keyfob, address()))

    @app.get("/azure")
    def by_azure() -> ResponseReturnValue:
        return jsonify(azure_call(g.keyfob, address()))


class TestFlaskDownstream(DownstreamContract):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return partial(running_site, before_init=add_pages)


class TestFlaskAtTheEmulator(EmulatorDownstream):
    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site

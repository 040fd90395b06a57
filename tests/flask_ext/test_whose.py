"""The contract about whose token a call has, with Flask."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.register_assert_rewrite("support.contract_whose")

from flask_ext.pages_whose import make_whose_app  # noqa: E402
from flask_ext.site import running_site  # noqa: E402
from flask_keyfob import app_api, app_token, background, end_background  # noqa: E402
from keyfob.errors import InteractionRequired  # noqa: E402
from support.contract_base import RunningSite  # noqa: E402
from support.contract_whose import WhoseContract  # noqa: E402


class TestFlaskWhose(WhoseContract):
    pages: dict[str, Any] = {"make": make_whose_app}

    @pytest.fixture
    def running_site(self) -> RunningSite:
        return running_site

    def in_a_worker(self, site: Any, key: str = "", *, end: bool = False) -> dict[str, str]:
        def work() -> dict[str, str]:
            with site.app.app_context():
                if not key:
                    assert app_token(api="jobs")
                    return {"own": app_api("jobs").get("/me").json()["id"]}
                if end:
                    end_background(key)
                try:
                    assert background(key).token(api="api")
                    return {"whose": background(key).api("api").get("/me").json()["id"]}
                except InteractionRequired as error:
                    return {"error": error.code}

        with ThreadPoolExecutor(1) as worker:
            return worker.submit(work).result()

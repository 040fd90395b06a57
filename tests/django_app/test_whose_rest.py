"""On behalf of the caller, from a view of Django REST framework under `attach_to`."""

from __future__ import annotations

import pytest
import requests

pytest.importorskip("rest_framework")

from django_app.site import running_site
from support.access_tokens import Mint
from support.callers import ADA, ON_BEHALF_OF, attached_apis, entra, forms
from support.provider import Provider

CONFIG = {"ROOT_URLCONF": "django_app.pages_whose_rest"}


def test_a_view_acts_for_its_caller_and_the_answer_is_the_callers() -> None:
    with entra() as provider, running_site(attached_apis(provider), config=CONFIG) as site:
        token = Mint(provider).person()

        def call(token: str) -> requests.Response:
            headers = {"Authorization": f"Bearer {token}"}
            return requests.get(f"{site.url}/orders/", headers=headers, timeout=20)

        assert call(token).json()["id"] == ADA.oid
        assert call("made-up").status_code == 401
        assert len(forms(provider, ON_BEHALF_OF)) == 1

        provider.raw["token"] = lambda request: Provider.json({"error": "consent_required"}, 400)
        refused = call(Mint(provider).person(uti="another"))
        assert refused.status_code == 403
        assert refused.headers["WWW-Authenticate"].startswith('Bearer error="consent_required"')
        assert refused.json()["consent_url"].startswith(site.url)
        assert not site.errors

"""No provider that is wrong in any way signs anybody in; every one that is right does."""

from __future__ import annotations

import logging

import pytest

from keyfob.errors import KeyfobError
from keyfob.web.stores import MemoryStore
from support.bare_site import BareSite
from support.faults import FAULTS, REFRESH_FAULTS, VARIANTS, Fault, Variant

STRICT = [fault for fault in FAULTS if not fault.debatable]


@pytest.mark.parametrize("fault", STRICT, ids=str)
def test_a_faulty_provider_signs_nobody_in(fault: Fault) -> None:
    store = MemoryStore()
    with (
        fault.provider() as provider,
        BareSite(fault.site_settings(provider), store, timeout=2.0) as site,
    ):
        answer = site.sign_in("next=/private")

        assert not site.is_signed_in
        assert site.established == []
        assert answer.page is not None
        assert 400 <= answer.status < 600
        assert answer.status != 500
        assert answer.page.correlation_id
        assert answer.page.retry_url
        # Nothing was kept but the mark that the attempt was used.
        assert all(len(entry.record.value) < 200 for entry in store._entries.values())
        assert provider.attacker_requests == []


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.debatable], ids=str)
def test_a_provider_that_is_debatable_gets_a_session_or_a_page(fault: Fault) -> None:
    with (
        fault.provider() as provider,
        BareSite(fault.site_settings(provider), timeout=2.0) as site,
    ):
        answer = site.sign_in("next=/private")

        assert answer.status != 500
        assert site.is_signed_in == (answer.location == "/private")
        assert (answer.page is not None) != site.is_signed_in


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_provider_that_is_right_if_unusual_signs_people_in(variant: Variant) -> None:
    with variant.provider() as provider, BareSite(variant.site_settings(provider)) as site:
        answer = site.sign_in("next=/private%3Fx%3D1")

        assert (answer.status, answer.location) == (302, "/private?x=1"), answer
        assert site.is_signed_in
        assert site.keyfob.user


@pytest.mark.parametrize("fault", REFRESH_FAULTS, ids=str)
def test_a_faulty_refresh_gives_no_token(fault: Fault) -> None:
    settings = {"DOWNSTREAM_APIS": {"api": {"base_url": "http://127.0.0.1:1", "scopes": ["email"]}}}
    with (
        fault.provider() as provider,
        BareSite({**fault.site_settings(provider), **settings}, timeout=8.0) as site,
    ):
        assert site.sign_in("api=api").location == "/"
        before = site.keyfob.document()
        assert before is not None

        with pytest.raises(KeyfobError):
            site.keyfob.token(api="api", force_refresh=True)

        after = site.keyfob.document()
        assert after is None or after.cache.serialize() == before.cache.serialize()


def test_what_goes_wrong_is_logged_without_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for fault in STRICT[::10]:
        with (
            fault.provider() as provider,
            BareSite(fault.site_settings(provider), timeout=2.0) as site,
        ):
            site.sign_in()
            secrets = [provider.client_secret, *provider._codes, *provider._access]
            secrets += [name for name in provider._refresh if name]
            for secret in secrets:
                assert secret not in caplog.text.replace("DEBUG    urllib3", "")
        caplog.clear()

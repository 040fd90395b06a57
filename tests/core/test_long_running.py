"""Work in a person's name that goes on without a request."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from keyfob.errors import (
    CallerMustInteract,
    ConfigurationError,
    IdTokenError,
    InteractionRequired,
    PermissionMissing,
    SubjectChangedError,
    TokenResponseError,
)
from keyfob.web.stores import MemoryStore, SQLiteStore
from support.bare_site import SECRET, BareSite, with_apis
from support.callers import ADA, GRACE, ON_BEHALF_OF, apis, called, caller, entra, forms
from support.provider import HOME_TENANT, OTHER_TENANT, Provider
from support.sign_in import Clock
from support.store_contract import at_once


@pytest.fixture
def provider() -> Iterator[Provider]:
    with entra() as provider:
        yield provider


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(provider: Provider, clock: Clock) -> Iterator[BareSite]:
    with BareSite(apis(provider), MemoryStore(clock=clock)) as site:
        yield site


@pytest.fixture(params=["caller", "session"])
def started(request: Any, site: BareSite) -> str:
    """Work that was begun by the caller of an API; or by a person in a browser."""
    if request.param == "caller":
        return site.app.start_long_running(caller(), api="api")
    site.sign_in("api=api")
    return site.app.start_long_running(site.keyfob)


def code_of(site: BareSite, key: str) -> str:
    with pytest.raises(InteractionRequired) as raised:
        site.app.long_running(key).token(api="api")
    return raised.value.code


def test_it_has_the_persons_tokens(site: BareSite, provider: Provider, started: str) -> None:
    work = site.app.long_running(started)
    token = work.token(api="api")
    assert provider._access[token].person == ADA
    assert work.api("api").get("/me").json()["id"] == ADA.oid
    assert site.app.long_running(started).token(api="api") == token
    mail = work.token(scopes=["mail.read"])
    assert "mail.read" in provider._access[mail].scopes


@pytest.mark.parametrize("anew", [False, True])
def test_no_work_begins_in_a_session_that_ends_everywhere_meanwhile(
    site: BareSite, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    site.sign_in("api=api")
    account = site.keyfob.user.key
    key = site.app.start_long_running(site.keyfob, api="api") if anew else None
    create, replace = site.store.create, site.store.replace

    def ended_first(write: Any) -> Any:
        def written(*args: Any) -> bool:
            monkeypatch.undo()
            site.app.sign_out_everywhere(account)
            found: bool = write(*args)
            return found

        return written

    monkeypatch.setattr(site.store, "create", ended_first(create))
    monkeypatch.setattr(site.store, "replace", ended_first(replace))
    with pytest.raises(InteractionRequired) as raised:
        site.app.start_long_running(site.keyfob, api="api", key=key)
    assert raised.value.code == "tokens_lost"
    assert site.app.sign_out_everywhere(account) == 0


def test_it_has_them_for_every_client(site: BareSite, provider: Provider, started: str) -> None:
    work = site.app.long_running(started)
    token = work.token(api="api")
    assert work.token_info(api="api").token == token
    answer = requests.get(f"{provider.base}/api/me", auth=work.auth("api"), timeout=10)
    assert answer.json()["id"] == ADA.oid
    for found in (
        work.credential("api").get_token("ignored"),
        work.credential().get_token("api://one/orders.read", tenant_id=ADA.tid),
    ):
        assert found.token == token
    with pytest.raises(ConfigurationError, match="tenant"):
        work.credential().get_token("api://one/orders.read", tenant_id=OTHER_TENANT)
    site.app.end_long_running(started)
    with pytest.raises(InteractionRequired):
        site.app.long_running(started).credential("api").get_token("ignored")


def test_it_goes_on_when_the_callers_token_has_ended(
    site: BareSite, provider: Provider, clock: Clock, started: str
) -> None:
    clock.offset = site.clock_offset = provider.clock_offset = 3 * 3600
    token = site.app.long_running(started).token(api="api")
    assert provider._access[token].person == ADA
    assert forms(provider, "refresh_token")
    assert provider.requests_to("token")[-1].path.startswith(f"/{HOME_TENANT}/")


def test_it_goes_on_when_the_person_has_left(site: BareSite, provider: Provider) -> None:
    site.sign_in("api=api")
    key = site.app.start_long_running(site.keyfob, api="api")
    site.logout()
    token = site.app.long_running(key).token(api="api")
    assert provider._access[token].person == ADA


def test_the_session_and_its_work_refresh_side_by_side(site: BareSite, provider: Provider) -> None:
    """Microsoft's refresh tokens serve again, so each has one."""
    provider.rotate_refresh_tokens = False
    site.sign_in("api=api")
    key = site.app.start_long_running(site.keyfob)
    for _ in range(2):
        site.app.long_running(key).token(api="api", force_refresh=True)
        site.keyfob.token(api="api", force_refresh=True)
    assert site.is_signed_in


def test_elsewhere_the_work_uses_the_sessions_own_tokens() -> None:
    """A provider may end a sign-in whose refresh token comes twice."""
    with (
        Provider(revoke_reused_refresh_tokens=True) as provider,
        BareSite(with_apis(provider)) as site,
    ):
        site.sign_in("api=api")
        key = site.app.start_long_running(site.keyfob)
        for _ in range(2):
            site.app.long_running(key).token(api="api", force_refresh=True)
            site.keyfob.token(api="api", force_refresh=True)
        site.logout()
        assert code_of(site, key) == "work_ended"


def test_the_sites_own_token_is_nobodys_work(site: BareSite, started: str) -> None:
    site.sign_in()
    for who in (caller(), site.keyfob):
        with pytest.raises(ConfigurationError, match="app_only"):
            site.app.start_long_running(who, api="jobs")
    assert site.app.long_running(started).token(api="jobs") == site.app.app_token(api="jobs")


def test_a_caller_names_an_api(site: BareSite) -> None:
    with pytest.raises(ConfigurationError, match="needs api= or scopes="):
        site.app.start_long_running(caller())
    with pytest.raises(ConfigurationError, match="not both"):
        site.app.start_long_running(caller(), api="api", scopes=["x"])
    assert site.app.start_long_running(caller(), scopes=["mail.read"])


def test_the_session_of_a_request_with_a_bearer_token_is_its_callers(
    site: BareSite, provider: Provider
) -> None:
    site.app.start_long_running(called(site, caller()), api="api")
    assert forms(provider, ON_BEHALF_OF)[0]["assertion"] == "adas-token"


def test_nobody_begins_none(site: BareSite) -> None:
    with pytest.raises(InteractionRequired) as raised:
        site.app.start_long_running(site.keyfob)
    assert raised.value.code == "not_signed_in"
    with pytest.raises(PermissionMissing):
        site.app.start_long_running(caller(is_app=True), api="api")


def test_missing_consent_is_found_while_the_person_is_here(
    site: BareSite, provider: Provider
) -> None:
    site.sign_in()
    provider.raw["token"] = lambda request: Provider.json({"error": "consent_required"}, 400)
    with pytest.raises(InteractionRequired) as raised:
        site.app.start_long_running(site.keyfob, api="api")
    assert raised.value.api == "api"
    with pytest.raises(CallerMustInteract):
        site.app.start_long_running(caller(), api="api")


def test_without_a_refresh_token_there_is_none(site: BareSite, provider: Provider) -> None:
    provider.refresh_tokens = False
    site.sign_in("api=api")
    for who in (caller(), site.keyfob):
        with pytest.raises(TokenResponseError, match="offline_access") as raised:
            site.app.start_long_running(who, api="api")
        # A debug page shows each frame's variables.
        for frame, _ in traceback.walk_tb(raised.value.__traceback__):
            if "test_" not in frame.f_code.co_filename:
                shown = repr(list(dict(frame.f_locals).values()))
                assert [token for token in provider._access if token in shown] == []


# Its end


def test_its_time_is_bounded(site: BareSite, provider: Provider, clock: Clock) -> None:
    key = site.app.start_long_running(caller(), api="api", seconds=7200)
    clock.offset = site.clock_offset = provider.clock_offset = 7100
    # Use does not prolong it.
    assert site.app.long_running(key).token(api="api")
    clock.offset = site.clock_offset = 7300
    assert code_of(site, key) == "work_ended"
    for wrong in (0, 59, 91 * 86400):
        with pytest.raises(ConfigurationError, match="seconds"):
            site.app.start_long_running(caller(), api="api", seconds=wrong)


def test_it_can_be_ended(site: BareSite, started: str) -> None:
    other = site.app.start_long_running(caller("another"), api="api")
    site.app.end_long_running(started)
    assert code_of(site, started) == "work_ended"
    site.app.end_long_running(started)
    assert site.app.long_running(other).token(api="api")


def test_sign_out_everywhere_ends_it(site: BareSite, provider: Provider, started: str) -> None:
    provider.person = GRACE
    graces = site.app.start_long_running(caller("graces", GRACE), api="api")
    sessions = int(site.is_signed_in)
    assert site.app.sign_out_everywhere(caller().key) == sessions + 1
    assert code_of(site, started) == "work_ended"
    assert site.app.long_running(graces).token(api="api")


@pytest.mark.parametrize("who", ["caller", "session"])
def test_a_tenant_that_is_admitted_no_more_ends_it_at_once(
    provider: Provider, clock: Clock, who: str
) -> None:
    admitted = {HOME_TENANT}
    rule = apis(provider, ALLOWED_TENANTS=lambda tenant: tenant in admitted)
    with BareSite(rule, MemoryStore(clock=clock)) as site:
        site.sign_in("api=api")
        begun_by = caller() if who == "caller" else site.keyfob
        key = site.app.start_long_running(begun_by, api="api")
        assert site.app.long_running(key).token(api="api")
        admitted.clear()
        clock.offset = site.clock_offset = provider.clock_offset = 600
        with pytest.raises(IdTokenError) as raised:
            site.app.long_running(key).token(api="api")
        assert raised.value.code == "tenant_not_allowed"
        admitted.add(HOME_TENANT)
        assert code_of(site, key) == "work_ended"


def test_a_person_who_may_not_any_more_must_come_back(
    site: BareSite, provider: Provider, started: str
) -> None:
    provider.revoke_refresh_tokens()
    with pytest.raises(InteractionRequired) as raised:
        site.app.long_running(started).token(api="api", force_refresh=True)
    assert raised.value.error == "invalid_grant"


def test_somebody_else_ends_it(site: BareSite, provider: Provider, started: str) -> None:
    provider.mutate_refresh_response = lambda answer: answer.update(
        client_info="eyJ1aWQiOiJ4IiwidXRpZCI6InkifQ"
    )
    with pytest.raises(SubjectChangedError):
        site.app.long_running(started).token(api="api", force_refresh=True)
    assert code_of(site, started) == "work_ended"


def test_an_answer_that_proves_nothing_does_not_end_it(
    site: BareSite, provider: Provider, started: str
) -> None:
    provider.rotate_refresh_tokens = False
    provider.clock_offset = -7200
    with pytest.raises(IdTokenError):
        site.app.long_running(started).token(api="api", force_refresh=True)
    provider.clock_offset = 0
    site.clock_offset = 61  # for a while the provider is not asked the same again
    assert site.app.long_running(started).token(api="api", force_refresh=True)


def test_new_tokens_may_come_under_the_same_key(site: BareSite, provider: Provider) -> None:
    key = site.app.start_long_running(caller(), api="api")
    provider.revoke_refresh_tokens()
    again = site.app.start_long_running(caller("newer"), api="api", key=key)
    assert again == key
    assert site.app.long_running(key).token(api="api", force_refresh=True)


def test_work_that_was_begun_anew_is_still_within_reach(
    site: BareSite, provider: Provider, clock: Clock
) -> None:
    key = site.app.start_long_running(caller(), api="api", seconds=60)
    again = site.app.start_long_running(caller(), api="api", key=key, seconds=7200)
    assert again == key
    clock.offset = site.clock_offset = provider.clock_offset = 3600
    assert site.app.long_running(key).token(api="api")
    assert site.app.sign_out_everywhere(caller().key) == 1
    assert code_of(site, key) == "work_ended"


def test_a_key_of_somebody_elses_or_of_nothing_is_not_taken(
    site: BareSite, provider: Provider
) -> None:
    key = site.app.start_long_running(caller(), api="api")
    ended = site.app.start_long_running(caller(), api="api")
    site.app.end_long_running(ended)
    site.sign_in()
    provider.person = GRACE
    for taken in (key, ended, "", "guessed", site.session["_keyfob"]["k"]):
        new = site.app.start_long_running(caller("graces", GRACE), api="api", key=taken)
        assert new != taken
    assert provider._access[site.app.long_running(key).token(api="api")].person == ADA


# Its key


def test_a_key_is_unguessable_and_of_this_site(site: BareSite, provider: Provider) -> None:
    keys = {site.app.start_long_running(caller(), api="api") for _ in range(3)}
    assert len(keys) == 3
    assert min(len(key.rpartition(".")[2]) for key in keys) >= 22
    settings = {**apis(provider), "CLIENT_ID": "another-site"}
    with BareSite(settings, site.store) as other:
        assert code_of(other, keys.pop()) == "work_ended"


def test_a_browsers_session_is_no_work_and_work_no_session(site: BareSite, started: str) -> None:
    """The cookie of a browser may show its session's key to the person."""
    site.sign_in("api=api")
    session_key = site.session["_keyfob"]["k"]
    for wrong in (session_key, "", "x", None, 7):
        assert code_of(site, wrong) == "work_ended"  # type: ignore[arg-type]
        site.app.end_long_running(wrong)  # type: ignore[arg-type]
    assert site.keyfob.token(api="api")
    site.session["_keyfob"] = {**site.session["_keyfob"], "k": started}
    assert not site.is_signed_in


def test_nothing_of_it_is_shown(
    site: BareSite, provider: Provider, started: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    work = site.app.long_running(started)
    work.token(api="api", force_refresh=True)
    provider.revoke_refresh_tokens()
    with pytest.raises(InteractionRequired) as raised:
        work.token(api="api", force_refresh=True)
    shown = f"{work!r} {work._tokens!r} {raised.value!r} {caplog.text}"
    assert isinstance(site.store, MemoryStore)
    kept = b"".join(entry.record.value for entry in site.store._entries.values())
    for secret in (started, *provider._access, *provider._rotated):
        assert secret not in shown
        assert secret.encode() not in kept


# Many at once


def test_many_workers_refresh_once(provider: Provider, tmp_path: Path) -> None:
    path = f"{tmp_path}/tokens.sqlite3"
    with ExitStack() as stack:
        sites = [stack.enter_context(BareSite(apis(provider), SQLiteStore(path))) for _ in range(3)]
        key = sites[0].app.start_long_running(caller(), api="api")

        def work(number: int) -> str:
            return sites[number % 3].app.long_running(key).token(api="api")

        assert len(set(at_once(12, work))) == 1
    assert len(forms(provider, "refresh_token")) == 1


def test_a_worker_in_another_process_has_the_tokens(provider: Provider, tmp_path: Path) -> None:
    path = f"{tmp_path}/tokens.sqlite3"
    settings = apis(provider)
    with BareSite(settings, SQLiteStore(path)) as site:
        site.sign_in("api=api")
        key = site.app.start_long_running(site.keyfob, api="api")
        ended = site.app.start_long_running(site.keyfob, api="api")
        site.app.end_long_running(ended)
        task = {"settings": settings, "store": path, "secret": SECRET}
        found = [in_another_process({**task, "key": each}) for each in (key, ended)]
    assert found[0]["id"] == ADA.oid
    assert provider._access[found[0]["token"]].person == ADA
    assert found[1] == {"error": "work_ended"}


def in_another_process(task: dict[str, object]) -> dict[str, str]:
    command = [sys.executable, "-m", "support.long_running_worker"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        command,
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=60,
        env=environ,
        check=True,
    )
    ready, result = done.stdout.splitlines()
    assert ready == "ready"
    found: dict[str, str] = json.loads(result)
    return found

"""Who somebody is, and what of it the browser's session holds."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from itsdangerous import URLSafeTimedSerializer

from keyfob.errors import InteractionRequired, StoreUnavailable
from keyfob.web import Identity
from keyfob.web.identity import User, session_claims
from support.bare_site import BareSite, with_apis
from support.failing_store import FailingStore
from support.provider import ABSENT, HOME_TENANT, OTHER_TENANT, Person, Provider

VICTIM = Person()


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


@pytest.fixture
def entra() -> Iterator[Provider]:
    with Provider(entra=True) as provider:
        yield provider


# Identity


def test_microsofts_people_are_known_by_tenant_and_object(entra: Provider) -> None:
    with BareSite(entra.settings()) as site:
        site.sign_in()
        key = site.keyfob.user.key
        assert (site.established[0].issuer, site.established[0].subject) == (
            HOME_TENANT,
            VICTIM.oid,
        )

        # A new name, another application's sub: still the same person.
        entra.person = Person(sub="changed", preferred_username="ada.king@contoso.example")
        site.sign_in()
        assert site.keyfob.user.key == key

        # The same object id in another tenant, or another object there: others.
        for other in (Person(tid=OTHER_TENANT), Person(oid="7" * 8 + VICTIM.oid[8:])):
            entra.person = other
            site.sign_in()
            assert site.keyfob.user.key != key


def test_an_e_mail_address_makes_nobody_somebody_else(entra: Provider) -> None:
    with BareSite(entra.settings()) as site:
        site.sign_in()
        key = site.keyfob.user.key
        entra.person = Person(oid="7" * 8 + VICTIM.oid[8:], tid=OTHER_TENANT)
        entra.extra_claims = {"email": VICTIM.email, "upn": VICTIM.email}
        site.sign_in()

        assert site.keyfob.user.name == VICTIM.name
        assert site.keyfob.user.key != key


def test_another_providers_tid_and_oid_are_anybodys_words(provider: Provider) -> None:
    provider.person = Person(sub="attacker")
    provider.extra_claims = {"tid": HOME_TENANT, "oid": VICTIM.oid}
    with BareSite(provider.settings()) as site:
        site.sign_in()
        identity = site.established[0]

        assert (identity.issuer, identity.subject) == (provider.issuer, "attacker")


@pytest.mark.parametrize(
    ("name", "value"), [("tid", "Contoso"), ("oid", "Ada"), ("oid", f"{VICTIM.oid}x"), ("oid", "")]
)
def test_what_is_no_guid_at_microsoft_names_nobody(name: str, value: str) -> None:
    """As AD FS or a custom policy of B2C may have it, where case may tell people apart."""
    claims = {"iss": "https://i", "sub": "s", "tid": HOME_TENANT, "oid": VICTIM.oid, name: value}
    identity = Identity.from_claims(claims, is_microsoft=True)
    assert (identity.issuer, identity.subject) == ("https://i", "s")


@pytest.mark.parametrize("missing", ["tid", "oid"])
def test_half_a_pair_is_none(missing: str) -> None:
    claims = {"iss": "https://i", "sub": "s", "tid": HOME_TENANT, "oid": VICTIM.oid}
    del claims[missing]
    identity = Identity.from_claims(claims, is_microsoft=True)
    assert (identity.issuer, identity.subject) == ("https://i", "s")


def test_a_key_is_short_stable_and_tells_nothing() -> None:
    claims = {"iss": "https://i", "sub": "Person"}
    key = Identity.from_claims(claims, is_microsoft=False).key
    expected = hashlib.sha256(b"https://i\nPerson").digest()[:16]

    assert key == base64.urlsafe_b64encode(expected).rstrip(b"=").decode()
    # Subjects are case-sensitive (OpenID Connect Core §2).
    assert Identity.from_claims({**claims, "sub": "person"}, is_microsoft=False).key != key


def test_identifiers_of_tenants_are_the_same_in_any_case() -> None:
    claims = {"iss": "i", "sub": "s", "tid": HOME_TENANT, "oid": VICTIM.oid}
    upper = {**claims, "tid": HOME_TENANT.upper(), "oid": VICTIM.oid.upper()}
    one = Identity.from_claims(claims, is_microsoft=True)
    assert one.key == Identity.from_claims(upper, is_microsoft=True).key


# The entry in the browser's session


def cookie_size(session: dict[str, Any]) -> int:
    """As Flask's SecureCookieSessionInterface makes it: JSON, zlib where that is shorter."""
    serializer = URLSafeTimedSerializer(
        "secret",
        salt="cookie-session",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
    )
    return len(serializer.dumps(session))


def noise(length: int) -> str:
    return secrets.token_hex(length)[:length]


HOSTILE_CLAIMS = {
    "nothing": {},
    "usual": {},
    "huge name": {"name": noise(50_000)},
    "long name": {"name": noise(150)},
    "long everything": dict.fromkeys(("name", "preferred_username", "email"), noise(200)),
    "unicode name": {"name": "汉字" * 30},
    "emoji": {"name": "😀" * 20, "preferred_username": "😀" * 5},
    "control characters": {"name": "\x00\x01\x1b[31m" * 20},
    "quotes": {"name": '"\\' * 60},
    "no text": {"name": ["a"], "preferred_username": {"a": 1}, "email": 7},
    "groups": {"groups": [noise(36) for _ in range(300)]},
    "long subject": {"sub": noise(255)},
}


@pytest.mark.parametrize("case", HOSTILE_CLAIMS)
def test_the_entry_stays_below_500_bytes(entra: Provider, case: str) -> None:
    entra.extra_claims = HOSTILE_CLAIMS[case]
    with BareSite(with_apis(entra, SCOPES=["email"])) as site:
        answer = site.sign_in()
        if case == "no text":
            assert answer.status in (302, 502)
            return

        # As large as it gets: with trips to the provider counted.
        site.keyfob.count_round("api one")
        site.keyfob.count_round("api another")
        site.keyfob.count_round("a third")
        assert cookie_size(site.session) < 500
        assert site.keyfob.user.key == site.established[0].key
        assert json.loads(json.dumps(site.session)) == site.session
        # What had no room is read from the store.
        assert site.keyfob.user.claims["oid"] == VICTIM.oid
        assert site.keyfob.user.oid == VICTIM.oid
        expected = HOSTILE_CLAIMS[case].get("name", VICTIM.name)
        assert site.keyfob.user.name == expected


def test_the_entry_is_not_so_small_only_by_compression() -> None:
    claims = {"name": noise(100), "preferred_username": noise(60), "oid": noise(36)}
    entry = {"_keyfob": {"k": noise(22), "a": noise(22), "c": session_claims(claims)[0]}}
    assert len(zlib.compress(json.dumps(entry).encode())) > 150
    assert cookie_size(entry) < 500


def test_the_most_useful_claims_come_first() -> None:
    kept, complete = session_claims({"email": noise(90), "name": noise(90), "tid": noise(36)})
    assert set(kept) == {"name", "tid"}
    assert not complete
    assert session_claims({"name": "Ada", "groups": ["a"]}) == ({"name": "Ada"}, True)


def test_no_token_is_in_the_session(provider: Provider) -> None:
    with BareSite(with_apis(provider)) as site:
        site.sign_in("api=api")
        site.keyfob.token(api="api")
        text = json.dumps(site.session) + json.dumps(site.cookies)

        for token in [*provider._access, *provider._refresh]:
            assert token not in text
        assert "eyJ" not in text


# The user


class Counting(FailingStore):
    loads = 0

    def load(self, key: str) -> Any:
        self.loads += 1
        return super().load(key)


@pytest.mark.parametrize("missing", [(), ("name",), ("name", "preferred_username", "email")])
def test_a_name_costs_nothing(provider: Provider, missing: tuple[str, ...]) -> None:
    """Nor does a claim that the provider never sent: not each page a look into the store."""
    store = Counting()
    provider.omit_metadata = ("userinfo_endpoint",)
    provider.mutate_claims = lambda claims: claims.update(dict.fromkeys(missing, ABSENT))
    with BareSite(provider.settings(), store) as site:
        site.sign_in()
        store.loads, store.down = 0, "all"
        user = site.keyfob.user

        assert user.is_authenticated
        assert user.name == ("person-0001" if "email" in missing else user.name)
        assert (user.username, user.email, user.tid) is not None
        assert store.loads == 0


def test_a_page_with_a_name_does_not_need_the_store(provider: Provider) -> None:
    """A name too long for the session is no reason for a public page to fail."""
    store = Counting()
    provider.extra_claims = {"name": "x" * 1000}
    with BareSite(provider.settings(), store) as site:
        site.sign_in()
        assert site.keyfob.user.name == "x" * 1000
        store.down = "all"
        assert site.keyfob.user.name == "ada@contoso.example"
        with pytest.raises(StoreUnavailable):
            _ = site.keyfob.user.claims

        store.down = ""
        store._entries.clear()
        assert site.keyfob.user.name == "ada@contoso.example"
        with pytest.raises(InteractionRequired) as raised:
            _ = site.keyfob.user.claims
        assert raised.value.code == "tokens_lost"


def test_nobody_is_false_and_has_no_name() -> None:
    with BareSite({"CLIENT_ID": "a", "CLIENT_SECRET": "b", "TENANT_ID": "common"}) as site:
        user = site.keyfob.user
        assert not user
        assert not user.is_authenticated
        assert (user.name, user.username, user.email, user.oid, user.tid) == ("",) * 5
        assert user.key is None
        assert user.claims == {}
        assert repr(user) == "<User nobody>"


@pytest.mark.parametrize("entry", [None, 7, "x", [], {}, {"k": 7}, {"k": None, "a": "b"}])
def test_an_entry_that_is_none_is_nobody(entry: object) -> None:
    with BareSite({"CLIENT_ID": "a", "CLIENT_SECRET": "b", "TENANT_ID": "common"}) as site:
        site.session["_keyfob"] = entry
        assert not site.is_signed_in
        assert not site.keyfob.user
        assert site.keyfob.document() is None
        assert site.get().location.startswith("/auth/login")  # type: ignore[union-attr]


def test_users_are_the_same_by_their_key() -> None:
    def user(key: str | None) -> User:
        return User(key, {}, dict)

    assert user("a") == user("a") != user("b")
    assert hash(user("a")) == hash(user("a"))
    assert user("a") != "a"

"""From claims to users: by what never changes hands, never by a name or an address."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import aauthenticate, authenticate
from django.contrib.auth.models import User
from django.db import IntegrityError, connections
from django.test import override_settings

from django_keyfob.backends import KeyfobBackend
from django_keyfob.models import KeyfobAccount
from keyfob.errors import ConfigurationError, IdTokenError, SignInRefused
from keyfob.web import Identity


def identity(
    subject: str = "s1", issuer: str = "https://issuer.example", **claims: Any
) -> Identity:
    return Identity(issuer, subject, claims)


def sign_in(who: Identity) -> User:
    user = authenticate(None, keyfob_identity=who)
    assert isinstance(user, User)
    return user


def test_the_same_person_is_the_same_user_whatever_their_name() -> None:
    first = sign_in(identity(preferred_username="ada"))
    again = sign_in(identity(preferred_username="ada.king"))
    assert again == first
    assert again.username == "ada"


def test_subject_and_issuer_both_count() -> None:
    users = {
        sign_in(identity("s1", preferred_username="ada")),
        sign_in(identity("s2", preferred_username="ada")),
        sign_in(identity("s1", "https://other.example", preferred_username="ada")),
    }
    assert {user.username for user in users} == {"ada", "ada-2", "ada-3"}


def test_subjects_that_differ_by_letter_case_are_two_people() -> None:
    assert sign_in(identity("Aa")) != sign_in(identity("aA"))


def test_a_database_that_cannot_tell_letter_case_lets_the_wrong_one_stay_out() -> None:
    backend = KeyfobBackend()
    user = sign_in(identity("Aa"))

    class Blind(KeyfobBackend):
        def _known(self, identity: Identity, database: str) -> Any:
            right = Identity(identity.issuer, "Aa", {})
            found = super()._known(right, database)
            assert found == user
            return backend._known(identity, database)

    KeyfobAccount.objects.update(subject="aa")
    with pytest.MonkeyPatch.context() as patch:
        accounts = KeyfobAccount.objects.using("default").select_related("user")
        patch.setattr(type(accounts), "filter", lambda self, **_: self.all())
        with pytest.raises(SignInRefused):
            backend.user_of(identity("AA"))


@pytest.mark.parametrize("taken", ["ada@contoso.example", "ADA@contoso.example"])
def test_a_user_who_is_there_is_never_taken_over(taken: str) -> None:
    local = User.objects.create_user(taken, email="ada@contoso.example", password="x")
    user = sign_in(
        identity(
            preferred_username="ada@contoso.example",
            email="ada@contoso.example",
            email_verified=True,
        )
    )
    assert user != local
    assert user.username == "ada@contoso.example-2"
    local.refresh_from_db()
    assert local.has_usable_password()
    assert not local.keyfob_accounts.exists()  # type: ignore[attr-defined]


def test_long_names_are_cut_to_fit() -> None:
    long = identity(preferred_username="a" * 300, given_name="b" * 300, family_name="c" * 300)
    user = sign_in(long)
    assert user.username == "a" * 150
    assert (len(user.first_name), len(user.last_name)) == (150, 150)
    other = sign_in(identity("s2", preferred_username="a" * 300))
    assert other.username == "a" * 148 + "-2"
    user.full_clean(exclude=["password"])


@pytest.mark.parametrize(
    ("claims", "username"),
    [
        ({"preferred_username": "live.com#ada@x.example"}, "live.com_ada@x.example"),
        ({"preferred_username": "Ada L"}, "Ada_L"),
        ({"preferred_username": "a\x00da\ud800"}, "a_da"),
        ({"preferred_username": 7, "nickname": "countess"}, "countess"),
        ({"name": "Ada Keyring"}, "Ada_Keyring"),
        ({"preferred_username": "ﬁne"}, "fine"),
    ],
)
def test_user_names_are_what_django_allows(claims: Mapping[str, Any], username: str) -> None:
    user = sign_in(identity(**claims))
    assert user.username == username
    user.full_clean(exclude=["password"])


def test_a_person_without_any_name_gets_one() -> None:
    assert sign_in(identity()).username.startswith("user-")


@pytest.mark.parametrize(
    ("claims", "names"),
    [
        ({"given_name": "Ada", "family_name": "King"}, ("Ada", "King")),
        ({"name": "Ada King Keyring"}, ("Ada", "King Keyring")),
        ({"name": "Ada"}, ("Ada", "")),
        ({"given_name": "Ada", "name": "Other Name"}, ("Ada", "")),
        ({"name": {"first": "Ada"}}, ("", "")),
    ],
)
def test_names_come_from_the_claims(claims: Mapping[str, Any], names: tuple[str, str]) -> None:
    user = sign_in(identity(**claims))
    assert (user.first_name, user.last_name) == names


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({}, ""),
        ({"email_verified": False}, ""),
        ({"email_verified": "false"}, ""),
        ({"email_verified": True}, "ada@x.example"),
        ({"xms_edov": True}, ""),
        ({"email_verified": True, "email": "no address"}, ""),
        ({"email_verified": True, "email": 7}, ""),
        (
            {
                "email_verified": True,
                "email": f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}",
            },
            "",
        ),
    ],
)
def test_only_a_proven_address_is_taken(claims: Mapping[str, Any], email: str) -> None:
    assert sign_in(identity(**{"email": "ada@x.example", **claims})).email == email


@pytest.mark.parametrize(
    ("claims", "email"),
    [
        ({"email_verified": True}, ""),
        ({"email_verified": True, "xms_edov": False}, ""),
        ({"xms_edov": True}, "ada@x.example"),
        ({"xms_edov": "1"}, "ada@x.example"),
        ({"xms_edov": 2}, ""),
        ({"xms_edov": True, "email": "no address"}, ""),
    ],
)
def test_at_entra_only_its_own_claim_proves_an_address(
    claims: Mapping[str, Any], email: str
) -> None:
    entra = {"TENANT_ID": "common", "CLIENT_ID": "a-client", "CLIENT_SECRET": "a-secret"}
    with override_settings(KEYFOB=entra):
        assert sign_in(identity(**{"email": "ada@x.example", **claims})).email == email


def test_a_profile_follows_the_claims_but_never_to_nothing() -> None:
    user = sign_in(identity(name="Ada Keyring", email="a@x.example", email_verified=True))
    sign_in(identity(name="Ada King", email="b@x.example"))
    user.refresh_from_db()
    assert (user.last_name, user.email) == ("King", "a@x.example")
    sign_in(identity())
    user.refresh_from_db()
    assert (user.last_name, user.email) == ("King", "a@x.example")


def test_what_only_the_site_knows_stays() -> None:
    user = sign_in(identity(name="Ada Keyring"))
    User.objects.update(is_staff=True, username="chosen")
    sign_in(identity(name="Ada King"))
    user.refresh_from_db()
    assert user.is_staff
    assert user.username == "chosen"


@pytest.mark.parametrize("value", ["x" * 256, "a\x00b", "a\ud800b", "a\nb"])
def test_a_subject_that_no_database_could_keep_is_refused(value: str) -> None:
    with pytest.raises(IdTokenError):
        sign_in(identity(value))
    with pytest.raises(IdTokenError):
        sign_in(identity("s1", value))
    assert not User.objects.exists()


def test_two_first_sign_ins_at_once_make_one_user(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Barrier(2)
    known = KeyfobBackend._known
    waited: set[int] = set()

    def slow(self: KeyfobBackend, who: Identity, database: str) -> Any:
        found = known(self, who, database)
        if threading.get_ident() not in waited:
            waited.add(threading.get_ident())
            gate.wait(10)
        return found

    monkeypatch.setattr(KeyfobBackend, "_known", slow)
    users: list[Any] = []

    def work() -> None:
        try:
            users.append(KeyfobBackend().user_of(identity(preferred_username="ada")))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(users) == 2
    assert users[0] == users[1]
    assert User.objects.count() == 1
    assert KeyfobAccount.objects.count() == 1


def test_the_async_way_in_is_the_same() -> None:
    user = async_to_sync(aauthenticate)(None, keyfob_identity=identity(name="Ada L"))
    assert isinstance(user, User)
    assert user.backend == "django_keyfob.backends.KeyfobBackend"  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [None, "s1", {"sub": "s1"}, object()])
def test_nothing_but_an_identity_is_taken(value: Any) -> None:
    assert authenticate(None, keyfob_identity=value) is None
    assert not User.objects.exists()


def test_a_subclass_decides_who_is_let_in_and_what_users_are() -> None:
    class Staff(KeyfobBackend):
        def create_user(self, identity: Identity) -> Any:
            if identity.claims.get("role") != "staff":
                raise SignInRefused("Only staff may sign in.")
            user = super().create_user(identity)
            user.is_staff = True  # type: ignore[attr-defined]
            user.save()
            return user

    with pytest.raises(SignInRefused):
        Staff().user_of(identity())
    assert Staff().user_of(identity(role="staff")).is_staff  # type: ignore[attr-defined]


def test_a_model_that_wants_more_is_told_how() -> None:
    class Wrong(KeyfobBackend):
        def create_user(self, identity: Identity) -> Any:
            raise IntegrityError("NOT NULL constraint failed")

    with pytest.raises(ConfigurationError, match=r"create_user\(\)"):
        Wrong().user_of(identity())


def test_an_address_that_must_be_unique_and_is_anothers_keeps_nobody_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Unique(KeyfobBackend):
        def update_user(self, user: Any, identity: Identity) -> None:
            raise IntegrityError("DETAIL: Key (email)=(ada@contoso.example) already exists")

    user = sign_in(identity())
    assert Unique().user_of(identity()) == user
    assert "could not be updated (IntegrityError)" in caplog.text
    assert "ada@" not in caplog.text

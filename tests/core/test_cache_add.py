"""What a token response leaves in the cache, where that differs from MSAL or can go wrong."""

import base64
import json
import logging

import pytest

from keyfob.cache import CredentialType, SerializableTokenCache, TokenCache
from keyfob.errors import ConfigurationError, TokenResponseError

NOW = 1_795_369_002
HOST = "login.microsoftonline.com"
OWNER = {"home_account_id": "uid.utid", "environment": HOST, "client_id": "c"}


def b64(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def jwt(**claims):
    return f"{b64({})}.{b64(claims)}.s"


def response(**more):
    return {
        "access_token": "AT",
        "refresh_token": "RT",
        "id_token": jwt(sub="sub", oid="oid", preferred_username="A@b.example"),
        "client_info": b64({"uid": "uid", "utid": "utid"}),
        "expires_in": 3600,
        **more,
    }


def event(answer=None, **more):
    return {
        "client_id": "c",
        "scope": ["a"],
        "token_endpoint": f"https://{HOST}/tid/oauth2/v2.0/token",
        "environment": HOST,
        "grant_type": "authorization_code",
        "response": response() if answer is None else answer,
        "data": {},
        "params": {},
        **more,
    }


def size(cache, section):
    return len(list(cache.search(section, now=NOW)))


class TestRefreshTokensDoNotMultiply:
    def test_one_per_person_and_client_with_the_union_of_scopes(self):
        cache = TokenCache()
        cache.add(event(scope=["b", "a"]), now=NOW)
        cache.add(event(response(refresh_token="RT2"), scope=["c"]), now=NOW + 1)
        [entry] = cache.find_refresh_tokens(**OWNER)
        assert (entry["secret"], entry["target"]) == ("RT2", "a b c")
        assert entry["last_modification_time"] == str(NOW + 1)
        assert size(cache, CredentialType.REFRESH_TOKEN) == 1

    def test_those_that_msal_multiplied_are_gathered(self):
        cache = SerializableTokenCache()
        for scope in ("x", "y"):
            entry = {
                "credential_type": "RefreshToken", "secret": scope, "target": scope, **OWNER,
                "last_modification_time": "1",
            }  # fmt: skip
            cache.modify(CredentialType.REFRESH_TOKEN, entry, entry)
        assert len(cache.find_refresh_tokens(**OWNER)) == 2
        cache.add(event(), now=NOW)
        assert list(json.loads(cache.serialize())["RefreshToken"]) == [
            f"uid.utid-{HOST}-refreshtoken-c--a x y"
        ]

    def test_other_clients_and_people_keep_theirs(self):
        cache = TokenCache()
        cache.add(event(), now=NOW)
        cache.add(event(client_id="d"), now=NOW)
        cache.add(event(response(client_info=b64({"uid": "u2", "utid": "t"}))), now=NOW)
        cache.add(event(response(foci="1")), now=NOW)
        assert size(cache, CredentialType.REFRESH_TOKEN) == 3
        family = cache.find_refresh_tokens(**{**OWNER, "client_id": "e"}, family_id="1")
        assert [entry["client_id"] for entry in family] == ["c"]
        assert cache.app_metadata(HOST, "c") == {
            "client_id": "c", "environment": HOST, "family_id": "1",
        }  # fmt: skip
        assert cache.app_metadata(HOST, "nobody") is None

    def test_update_rt_takes_the_place_of_its_siblings(self):
        cache = TokenCache(clock=lambda: NOW + 9)
        cache.add(event(scope=["a"]), now=NOW)
        [stale] = cache.find_refresh_tokens(**OWNER)
        cache.add(event(response(refresh_token="RT2"), scope=["b"]), now=NOW)
        cache.update_rt(stale, "RT3")
        [entry] = cache.find_refresh_tokens(**OWNER)
        assert (entry["secret"], entry["target"]) == ("RT3", "a b")
        assert entry["last_modification_time"] == str(NOW + 9)

    def test_a_token_under_another_librarys_key_is_updated_and_removed(self):
        foreign = {"credential_type": "RefreshToken", "secret": "old", "target": "a", **OWNER}
        document = json.dumps({"RefreshToken": {"some-other-key": foreign}})
        cache = SerializableTokenCache()
        cache.deserialize(document)
        cache.update_rt(foreign, "new")
        assert [e["secret"] for e in cache.search(CredentialType.REFRESH_TOKEN)] == ["new"]
        cache.deserialize(document)
        cache.remove_rt(foreign)
        assert not list(cache.search(CredentialType.REFRESH_TOKEN))

    def test_of_two_that_claim_one_key_the_right_one_is_removed(self):
        entry = {"credential_type": "RefreshToken", "secret": "1", "target": "a", **OWNER}
        twin = {**entry, "client_id": "C", "secret": "2"}
        cache = SerializableTokenCache()
        key = f"uid.utid-{HOST}-refreshtoken-c--a"
        cache.deserialize(json.dumps({"RefreshToken": {"foreign": entry, key: twin}}))
        cache.remove_rt(entry)
        assert list(cache.search(CredentialType.REFRESH_TOKEN)) == [twin]

    def test_unknown_peoples_are_not_mistaken_for_one_persons(self):
        cache = TokenCache()
        anonymous = {"refresh_token": "RT1"}
        cache.add(event(anonymous, grant_type=None, scope=["a"]), now=NOW)
        cache.add(event(anonymous, grant_type=None, scope=["b"]), now=NOW)
        assert size(cache, CredentialType.REFRESH_TOKEN) == 2


class TestWhose:
    def test_a_refresh_after_sign_out_brings_nobody_back(self):
        cache = TokenCache()
        cache.add(event(), now=NOW)
        [refresh_token] = cache.find_refresh_tokens(**OWNER)
        cache.remove_account_everywhere("uid.utid", [HOST], "c")
        cache.add(event(skip_account_creation=True, grant_type="refresh_token"), now=NOW)
        cache.update_rt(refresh_token, "RT2")
        for section in ("AccessToken", "RefreshToken", "IdToken", "Account"):
            assert size(cache, section) == 0

    def test_a_refresh_in_another_environment_counts(self):
        cache = TokenCache()
        cache.add(event(environment="login.windows.net"), now=NOW)
        cache.add(event(skip_account_creation=True, grant_type="refresh_token"), now=NOW)
        assert cache.find_access_token(**OWNER, realm="tid", scopes=["a"], now=NOW)

    def test_a_persons_token_is_never_filed_as_the_applications(self):
        cache = TokenCache()
        cache.add(event({"access_token": "AT"}, grant_type="refresh_token"), now=NOW)
        assert size(cache, CredentialType.ACCESS_TOKEN) == 0
        cache.add(
            event({"access_token": "AT"}, grant_type="refresh_token", home_account_id="sub"),
            now=NOW,
        )
        assert cache.find_access_token(
            **{**OWNER, "home_account_id": "sub"}, realm="tid", scopes=["a"], now=NOW
        )
        assert size(cache, CredentialType.ACCOUNT) == 0

    @pytest.mark.parametrize(
        ("parts", "expected"),
        [
            ({}, "uid.utid"),
            ({"client_info": b64({"uid": "only"})}, "sub"),
            ({"client_info": b64({"uid": 1, "utid": 2})}, "sub"),
            ({"client_info": None}, "sub"),
            ({"client_info": "", "id_token_claims": {"sub": "checked"}}, "checked"),
        ],
    )
    def test_home_account_id(self, parts, expected):
        cache = TokenCache()
        cache.add(event(response(**parts)), now=NOW)
        [account] = cache.search(CredentialType.ACCOUNT)
        assert account["home_account_id"] == expected

    def test_the_events_home_account_id_goes_before_the_subject(self):
        cache = TokenCache()
        cache.add(event(response(client_info=None), home_account_id="uid.utid"), now=NOW)
        assert cache.account("uid.utid", HOST)
        assert cache.account("sub", HOST) is None

    @pytest.mark.parametrize(
        "claims",
        [
            {"sub": "s", "preferred_username": None, "upn": "x"},
            {"sub": "s", "upn": 3},
            {"sub": "s"},
        ],
    )
    def test_a_user_name_is_always_a_string(self, claims):
        cache = TokenCache()
        cache.add(event(response(id_token_claims=claims)), now=NOW)
        [account] = cache.search(CredentialType.ACCOUNT)
        assert account["username"] == ""
        assert account["local_account_id"] == "s"


class TestWhere:
    def test_realm_of_the_event_overrides_the_endpoints(self):
        cache = TokenCache()
        cache.add(event(realm="guid", environment="Login.Example"), now=NOW)
        [account] = cache.search(CredentialType.ACCOUNT)
        assert (account["environment"], account["realm"]) == ("login.example", "guid")

    @pytest.mark.parametrize(
        ("endpoint", "environment", "realm"),
        [
            ("https://HOST.example:8443/tid/token", "host.example", "tid"),
            ("http://127.0.0.1:5000/tid/token", "127.0.0.1", "tid"),
            ("https://x.ciamlogin.com", "x.ciamlogin.com", "x.onmicrosoft.com"),
            ("https://x.ciamlogin.com/t/", "x.ciamlogin.com", "t"),
            ("https://idp.example", "idp.example", None),
        ],
    )
    def test_from_the_token_endpoint(self, endpoint, environment, realm):
        cache = TokenCache()
        bare = event(token_endpoint=endpoint)
        del bare["environment"]
        cache.add(bare, now=NOW)
        [account] = cache.search(CredentialType.ACCOUNT)
        assert (account["environment"], account["realm"]) == (environment, realm)

    @pytest.mark.parametrize("endpoint", ["nonsense", "https://", "https://[x/y", 7])
    def test_no_address(self, endpoint):
        with pytest.raises(ConfigurationError):
            TokenCache().add(event(token_endpoint=endpoint, environment=None), now=NOW)


class TestUnreadableResponses:
    @pytest.mark.parametrize(
        "parts",
        [
            {"client_info": "%%%"},
            {"client_info": b64([1])},
            {"client_info": 5},
            {"id_token": "no-jwt"},
            {"id_token": "a.!.c"},
            {"id_token": f"a.{b64('str')}.c"},
            {"expires_in": "soon"},
            {"expires_in": float("inf")},
            {"expires_in": True},
            {"expires_in": [1]},
            {"expires_in": None, "expires_on": "later"},
        ],
    )
    def test_nothing_is_filed_and_nothing_is_said_of_the_content(self, parts):
        cache = SerializableTokenCache()
        with pytest.raises(TokenResponseError) as caught:
            cache.add(event(response(**parts)), now=NOW)
        assert cache.serialize() == "{}"
        for value in ("AT", "RT", "%%%", "no-jwt", "soon"):
            assert value not in str(caught.value).split()

    @pytest.mark.parametrize("refresh_in", ["soon", None, {}])
    def test_an_unreadable_hint_is_passed_over(self, refresh_in):
        cache = TokenCache()
        cache.add(event(response(refresh_in=refresh_in, ext_expires_in="x")), now=NOW)
        [entry] = cache.search(CredentialType.ACCESS_TOKEN, now=NOW)
        assert "refresh_on" not in entry
        assert entry["extended_expires_on"] == entry["expires_on"]

    def test_events_with_gaps(self):
        cache = SerializableTokenCache()
        cache.add({"response": None, "data": None, "scope": None})
        assert json.loads(cache.serialize()) == {
            "AppMetadata": {"appmetadata--": {"client_id": None, "environment": None}}
        }


def test_the_scope_granted_is_the_events_or_else_the_responses():
    cache = TokenCache()
    cache.add(event(response(scope="y x")), now=NOW)
    bare = event(response(scope="y x"))
    del bare["scope"]
    cache.add(bare, now=NOW)
    targets = [entry["target"] for entry in cache.search(CredentialType.ACCESS_TOKEN, now=NOW)]
    assert targets == ["a", "x y"]


def test_nothing_secret_is_logged_or_shown(caplog):
    cache = SerializableTokenCache()
    with caplog.at_level(logging.DEBUG):
        cache.add(
            event(data={"code": "CODE", "code_verifier": "VERIFIER", "client_secret": "SECRET"}),
            now=NOW,
        )
    assert caplog.messages == ["Filed AccessToken, Account, IdToken, RefreshToken, AppMetadata"]
    assert repr(cache) == (
        "<SerializableTokenCache: 1 accounts, 1 access tokens, 1 refresh tokens>"
    )


def test_a_subclass_that_overrides_modify_sees_every_change_without_the_lock():
    seen = []

    class Hooked(TokenCache):
        def modify(self, credential_type, old_entry, new_key_value_pairs=None):
            # A free lock can be taken by another thread; RLock tells by its owner.
            seen.append((credential_type, bool(new_key_value_pairs), self._lock._is_owned()))
            super().modify(credential_type, old_entry, new_key_value_pairs)

    cache = Hooked()
    cache.add(event(), now=NOW)
    cache.add(event(response(refresh_token="RT2"), scope=["b"]), now=NOW)
    [refresh_token] = cache.find_refresh_tokens(**OWNER)
    cache.update_rt(refresh_token, "RT3")
    cache.remove_account_everywhere("uid.utid", [HOST], "c")
    assert not any(owned for _, _, owned in seen)
    assert ("RefreshToken", False, False) in seen
    assert [entry for s in ("AccessToken", "Account") for entry in cache.search(s)] == []

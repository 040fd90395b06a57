"""Finding things again: MSAL's `search`, and the lookups of Keyfob's flows."""

import base64
import json

import pytest

from keyfob.cache import AuthorityType, CredentialType, SerializableTokenCache, TokenCache
from keyfob.errors import ConfigurationError

NOW = 1_000_000
HOST = "login.example"
OWNER = {"home_account_id": "u.t", "environment": HOST, "client_id": "c"}


def token(secret, target, *, expires_on=NOW + 3600, **more):
    return {
        "credential_type": CredentialType.ACCESS_TOKEN,
        "secret": secret,
        "target": target,
        "realm": "r",
        "expires_on": str(expires_on),
        **OWNER,
        **more,
    }


def cache_of(*entries, section=CredentialType.ACCESS_TOKEN):
    """A cache with the entries under keys that are no library's."""
    cache = SerializableTokenCache()
    document = {section: {f"key-{number}": entry for number, entry in enumerate(entries)}}
    cache.deserialize(json.dumps(document))
    return cache


def found(cache, scopes, **more):
    asked = {**OWNER, "realm": "r", "now": NOW, **more}
    entry = cache.find_access_token(scopes=scopes, **asked)
    return entry and entry["secret"]


class TestAccessTokens:
    def test_a_superset_serves_and_the_longest_lived_goes_first(self):
        cache = cache_of(
            token("short", "a b", expires_on=NOW + 10),
            token("long", "a b c", expires_on=NOW + 99),
            token("other", "d", expires_on=NOW + 999),
        )
        assert found(cache, ["a"]) == "long"
        assert found(cache, ["a", "b"]) == "long"
        assert found(cache, {"c"}) == "long"
        assert found(cache, dict.fromkeys("ad").keys()) is None
        assert found(cache, "b c") == "long"
        assert found(cache, ["a", "d"]) is None
        assert found(cache, []) == "other"

    def test_case(self):
        cache = cache_of(
            token("folded", "USER.READ", expires_on=NOW + 99), token("exact", "User.Read")
        )
        assert found(cache, ["User.Read"]) == "exact"
        assert found(cache, ["USER.READ"]) == "folded"
        assert found(cache, ["user.read"]) == "exact"
        assert found(cache, ["user.read"], ignore_case=False) is None

    @pytest.mark.parametrize(
        "different",
        [
            {"home_account_id": "U.T"},
            {"home_account_id": None},
            {"client_id": "C"},
            {"realm": "R"},
            {"environment": "other.example"},
            {"ext_cache_key": "x"},
            {"key_id": "k"},
            {"token_type": "pop"},
        ],
    )
    def test_everything_else_must_agree(self, different):
        cache = cache_of(token("it", "a"))
        assert found(cache, ["a"]) == "it"
        assert found(cache, ["a"], **different) is None
        other = cache_of(token("it", "a", **different))
        assert found(other, ["a"], **different) == "it"
        assert found(other, ["a"]) is None

    def test_names_that_are_case_insensitive(self):
        cache = cache_of(token("it", "a", token_type="bearer"))
        assert found(cache, ["a"], environment="LOGIN.example", ext_cache_key="") == "it"

    def test_expired_ones_are_not_found_and_removed_from_the_bucket_at_hand_only(self):
        cache = cache_of(
            token("gone", "a", expires_on=NOW - 1),
            token("just", "a", expires_on=NOW),
            token("elsewhere", "a", expires_on=NOW - 1, home_account_id="v.t"),
        )
        assert found(cache, ["a"]) is None
        assert cache.has_state_changed
        left = json.loads(cache.serialize())["AccessToken"]
        assert sorted(entry["secret"] for entry in left.values()) == ["elsewhere", "just"]
        assert cache.remove_expired(NOW) == 1
        assert cache.remove_expired(NOW) == 0

    def test_a_miss_and_a_hit_change_nothing(self):
        cache = cache_of(token("it", "a"))
        found(cache, ["a"])
        found(cache, ["b"])
        list(cache.search(CredentialType.ACCESS_TOKEN, now=NOW))
        assert not cache.has_state_changed

    def test_times_in_the_result_can_be_read(self):
        entry = token("it", "a", expires_on=NOW + 5)
        entry.update(expires_on=NOW + 5.5, refresh_on="soon", cached_at=True, realm="r")
        cache = cache_of(entry)
        result = cache.find_access_token(**OWNER, realm="r", scopes=["a"], now=NOW)
        assert result is not None
        assert result["expires_on"] == str(NOW + 5)
        assert "refresh_on" not in result
        assert "cached_at" not in result

    def test_results_are_copies(self):
        cache = cache_of(token("it", "a"))
        result = cache.find_access_token(**OWNER, realm="r", scopes=["a"], now=NOW)
        assert result is not None
        result["secret"] = "changed"
        next(cache.search(CredentialType.ACCESS_TOKEN, now=NOW))["secret"] = "changed"
        assert found(cache, ["a"]) == "it"

    def test_forgotten_tokens_do_not_pile_up(self):
        cache = TokenCache()
        for number in range(1000):
            event = {
                "client_id": "c",
                "environment": HOST,
                "realm": "r",
                "scope": ["a"],
                "grant_type": "client_credentials",
                "data": {"client_claims": str(number)},
                "response": {"access_token": "x", "expires_in": 10},
            }
            cache.add(event, now=NOW + number)
        assert "64 access tokens" in repr(cache) or int(repr(cache).split()[3]) < 80


class TestSearch:
    def test_it_holds_no_lock_and_shows_the_state_at_the_call(self):
        cache = cache_of(token("one", "a"), token("two", "a b"))
        search = cache.search(CredentialType.ACCESS_TOKEN, now=NOW)
        assert next(search)["secret"] == "one"
        for entry in list(cache.search(CredentialType.ACCESS_TOKEN, now=NOW)):
            cache.remove_at(entry)
        assert next(search)["secret"] == "two"
        assert not cache._lock._is_owned()
        assert not list(cache.search(CredentialType.ACCESS_TOKEN, now=NOW))

    def test_target_and_query(self):
        cache = cache_of(token("one", "A b"), token("two", "a b", key_id="k"))

        def secrets(*arguments):
            return [e["secret"] for e in cache.search("AccessToken", *arguments, now=NOW)]

        assert secrets(["b"]) == ["one", "two"]
        assert secrets(["A", "b"]) == ["one"]
        assert secrets("A b") == ["one"]
        assert secrets(None, {"key_id": "k"}) == ["two"]
        assert secrets(None, {"environment": HOST.upper()}) == ["one", "two"]
        assert secrets(None, {"home_account_id": "u.t", "environment": HOST}) == ["one", "two"]
        assert secrets(["a"], {**OWNER, "realm": "r"}) == ["two"]
        assert secrets(None, {"no_such_field": None}) == []
        assert secrets(None, {"realm": ["unhashable"]}) == []

    def test_extended_entries_are_only_for_those_who_ask(self):
        cache = cache_of(token("plain", "a"), token("ext", "a", ext_cache_key="e"))
        search = cache.search("AccessToken", ["a"], {**OWNER, "realm": "r"}, now=NOW)
        assert [entry["secret"] for entry in search] == ["plain"]
        query = {**OWNER, "realm": "r", "ext_cache_key": "e"}
        assert [e["secret"] for e in cache.search("AccessToken", ["a"], query, now=NOW)] == ["ext"]

    def test_find_is_a_deprecated_list(self):
        cache = cache_of(token("one", "a"))
        with pytest.deprecated_call():
            assert [e["secret"] for e in cache.find("AccessToken", now=NOW)] == ["one"]

    def test_modify_knows_its_sections(self):
        with pytest.raises(ConfigurationError, match="Strange"):
            TokenCache().modify("Strange", {}, {})
        assert list(TokenCache().search("Strange")) == []


class TestIdTokens:
    def test_the_newest_of_all_realms_or_of_one(self):
        def jwt(iat):
            body = base64.urlsafe_b64encode(json.dumps({"iat": iat}).encode()).decode()
            return f"h.{body.rstrip('=')}.s"

        cache = cache_of(
            {"secret": jwt(5), "realm": "a", **OWNER},
            {"secret": jwt(9), "realm": "b", **OWNER},
            {"secret": "broken", "realm": "c", **OWNER},
            {"secret": jwt(99), "realm": "b", **OWNER, "client_id": "other"},
            {"secret": 7, "realm": "b", **OWNER},
            section="IdToken",
        )
        assert cache.find_id_token(**OWNER) == jwt(9)
        assert cache.find_id_token(**OWNER, realm="a") == jwt(5)
        assert cache.find_id_token(**OWNER, realm="x") is None


class TestRefreshTokens:
    def test_newest_first(self):
        cache = cache_of(
            {"secret": "1", "last_modification_time": "5", **OWNER},
            {"secret": "2", "last_modification_time": "7", **OWNER},
            {"secret": "3", "last_modification_time": 7, **OWNER},
            {"secret": "4", "last_modification_time": "never", "target": 3, **OWNER},
            {"secret": "", "last_modification_time": "9", **OWNER},
            section="RefreshToken",
        )
        tokens = cache.find_refresh_tokens(**OWNER)
        assert [entry["secret"] for entry in tokens] == ["3", "2", "1", "4"]
        assert "target" not in tokens[-1]


class TestAccounts:
    def account(self, home, username, realm="r", **more):
        return {
            "home_account_id": home,
            "environment": HOST,
            "realm": realm,
            "username": username,
            "authority_type": AuthorityType.MSSTS,
            **more,
        }

    def cache(self):
        return cache_of(
            self.account("1", "Ann@x.example"),
            self.account("2", "Bob@x.example"),
            self.account("1", "Ann.Guest@y.example", "other"),
            self.account("3", "Cloud", authority_type="CLOUDSHELL"),
            self.account("1", "Elsewhere", environment="alias.example"),
            self.account("4", "Only@x.example", environment="alias.example"),
            {"home_account_id": "5", "environment": HOST},
            section="Account",
        )

    def test_one_per_account_of_the_last_realm_in_the_first_environment(self):
        cache = self.cache()
        assert [a["username"] for a in cache.accounts([HOST])] == [
            "Ann.Guest@y.example",
            "Bob@x.example",
        ]
        assert [a["username"] for a in cache.accounts((HOST.upper(), "alias.example"))] == [
            "Ann.Guest@y.example",
            "Bob@x.example",
            "Only@x.example",
        ]
        assert cache.accounts(["nowhere"]) == []
        assert len(cache.accounts(HOST, authority_types=["CLOUDSHELL"])) == 1

    def test_by_name_in_any_case_as_the_last_realm_says_it(self):
        cache = self.cache()
        [bob] = cache.accounts([HOST], "bOB@x.example")
        assert bob["home_account_id"] == "2"
        assert bob["account_source"] is None
        assert len(cache.accounts([HOST], "ann.guest@Y.example")) == 1
        assert cache.accounts([HOST], "ann@x.example") == []
        assert len(cache.accounts([HOST], "")) == 2

    def test_one(self):
        cache = self.cache()
        account = cache.account("1", HOST)
        assert account is not None
        assert account.get("realm") == "other"
        assert cache.account("9", HOST) is None

    def test_signing_out(self):
        cache = SerializableTokenCache()
        for home, client, family in (
            ("u.t", "c", None), ("u.t", "kin", "1"), ("u.t", "stranger", None), ("v.t", "c", None),
        ):  # fmt: skip
            owner = {"home_account_id": home, "environment": HOST, "client_id": client}
            for section in ("AccessToken", "IdToken", "RefreshToken"):
                entry = {**owner, "secret": "s", "expires_on": str(NOW * 2), "target": "a"}
                if family:
                    entry["family_id"] = family
                cache.modify(section, entry, entry)
            account = self.account(home, "name")
            cache.modify("Account", account, account)
        metadata = {"environment": HOST, "client_id": "c", "family_id": "1"}
        cache.modify("AppMetadata", metadata, metadata)
        cache.remove_account_everywhere("u.t", [HOST, "alias.example"], "c")
        cache.remove_account_everywhere("", [HOST], "c")
        left = {
            section: [(e["home_account_id"], e.get("client_id")) for e in entries.values()]
            for section, entries in json.loads(cache.serialize()).items()
            if section != "AppMetadata"
        }
        assert left == {
            "AccessToken": [("v.t", "c")],
            "IdToken": [("v.t", "c")],
            "RefreshToken": [("u.t", "stranger"), ("v.t", "c")],
            "Account": [("v.t", None)],
        }
        assert cache.app_metadata(HOST, "c")

"""Who an access token speaks for, at each kind of provider (RFC 9068, docs/decisions)."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyfob.errors import AccessTokenError
from keyfob.protocol.access_token import (
    MAX_LENGTH,
    AccessExpectations,
    ProvenAccess,
    default_audiences,
    judge_access,
    read_access_token,
    verify_signature,
)
from keyfob.protocol.authority import microsoft_authority
from keyfob.protocol.keys import KeySet
from keyfob.protocol.logout_token import read_logout_token
from keyfob.protocol.metadata import ProviderMetadata, parse_metadata
from keyfob.protocol.signing import ASYMMETRIC_ALGORITHMS
from keyfob.protocol.user_flow import is_of_flows
from support.id_tokens import (
    ABSENT,
    CLIENT,
    ISSUER,
    LOGIN,
    NOW,
    OTHER,
    TENANT,
    Claims,
    key_set,
    metadata,
    token,
)
from support.logout_tokens import logout_claims, logout_token, refusal_code
from support.sign_in import answer

OID = "55555555-0000-4000-8000-666666666666"
TYPED = {"typ": "at+jwt"}


def person(**changes: Any) -> Claims:
    found = {
        "iss": f"{LOGIN}/{TENANT}/v2.0",
        "sub": "subject",
        "oid": OID,
        "tid": TENANT,
        "aud": CLIENT,
        "azp": "caller",
        "scp": "Orders.Read",
        "ver": "2.0",
        "iat": NOW,
        "exp": NOW + 3600,
        **changes,
    }
    return {name: value for name, value in found.items() if value is not ABSENT}


def plain(**changes: Any) -> Claims:
    """Of a provider that is not Microsoft's, by RFC 9068 §2.2."""
    gone = dict.fromkeys(("tid", "oid", "azp", "scp", "ver"), ABSENT)
    own = {"iss": ISSUER, "client_id": "caller", "scope": "orders.read"}
    return person(**{**gone, **own, **changes})


def proven(
    payload: Claims,
    about: ProviderMetadata | None = None,
    header: Claims | None = None,
    keys: KeySet | None = None,
    **more: Any,
) -> ProvenAccess:
    about = about or metadata(TENANT)
    audiences = default_audiences(CLIENT, is_microsoft=about.is_microsoft)
    expected = AccessExpectations(**{"audiences": audiences, "metadata": about, "now": NOW, **more})
    unverified = read_access_token(token(payload, header=header))
    signed = verify_signature(unverified, keys or key_set(), about.signing_algorithms)
    return judge_access(signed, expected)


def refused(payload: Claims, *args: Any, **more: Any) -> str:
    with pytest.raises(AccessTokenError) as caught:
        proven(payload, *args, **more)
    return caught.value.code


def at(authority: str, issuer: str, **more: Any) -> ProviderMetadata:
    document = {
        "issuer": issuer,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "jwks_uri": f"{ISSUER}/keys",
        **more,
    }
    return parse_metadata(microsoft_authority(authority), answer(document))


class TestForm:
    @pytest.mark.parametrize("typ", ["at+jwt", "application/AT+JWT", "JWT", ABSENT])
    def test_its_own_type_a_jwts_and_none_are_taken(self, typ: object) -> None:
        assert proven(person(), header={"typ": typ}).holder.scopes == {"Orders.Read"}

    def test_the_longest_that_is_taken_is_longer_than_any_of_microsofts(self) -> None:
        groups = [f"{number:08d}-0000-4000-8000-000000000003" for number in range(200)]
        text = token(person(groups=groups))
        assert 10_000 < len(text) < MAX_LENGTH
        assert proven(person(groups=groups)).claims["groups"] == groups

    def test_a_logout_token_opens_no_api_and_an_access_token_ends_no_session(self) -> None:
        with pytest.raises(AccessTokenError, match="Another kind"):
            read_access_token(logout_token(logout_claims()))
        assert refusal_code(lambda: read_logout_token(token(person(), header=TYPED))) == (
            "wrong_type"
        )

    @pytest.mark.parametrize("alg", sorted(ASYMMETRIC_ALGORITHMS))
    def test_every_algorithm_that_id_tokens_have_works(self, alg: str) -> None:
        text = token(person(), alg)
        signed = verify_signature(read_access_token(text), key_set(alg), ASYMMETRIC_ALGORITHMS)
        assert signed.claims["scp"] == "Orders.Read"


class TestIssuersOfEntra:
    @pytest.mark.parametrize(
        ("host", "older"),
        [
            ("login.microsoftonline.com", "sts.windows.net"),
            ("login.windows.net", "sts.windows.net"),
            ("login.microsoftonline.us", "sts.windows.net"),
            ("login.partner.microsoftonline.cn", "sts.chinacloudapi.cn"),
            ("login.microsoftonline.de", "sts.microsoftonline.de"),
            ("login.sovcloud-identity.fr", "login.sovcloud-identity.fr"),
            ("login.contoso.example:8443", "login.contoso.example:8443"),
        ],
    )
    @pytest.mark.parametrize("tenant", [TENANT, "organizations"])
    def test_each_cloud_has_its_own_issuer_of_version_1(
        self, host: str, older: str, tenant: str
    ) -> None:
        named = "{tenantid}" if tenant == "organizations" else tenant
        about = at(f"https://{host}/{tenant}", f"https://{host}/{named}/v2.0")
        old = {"ver": "1.0", "azp": ABSENT, "appid": "caller", "aud": f"api://{CLIENT}"}
        payload = person(iss=f"https://{older}/{TENANT}/", **old)
        found = proven(payload, about)
        assert found.issuer == f"https://{host}/{TENANT}/v2.0"
        assert refused(person(iss=f"https://{older}/{OTHER}/", **old), about) in ("iss", "tid")
        assert refused(person(iss=f"https://{older}/{TENANT}", **old), about) == "iss"

    def test_of_one_tenant_no_other_is_believed(self) -> None:
        other = {"iss": f"{LOGIN}/{OTHER}/v2.0", "tid": OTHER}
        assert refused(person(**other)) == "iss"
        old = {"ver": "1.0", "azp": ABSENT, "appid": "caller"}
        payload = person(iss=f"https://sts.windows.net/{OTHER}/", tid=OTHER, **old)
        assert refused(payload) == "iss"

    def test_a_key_of_the_newer_issuers_signs_for_the_older_one_of_the_same_tenant(self) -> None:
        old = {"ver": "1.0", "azp": ABSENT, "appid": "caller"}
        payload = person(iss=f"https://sts.windows.net/{TENANT}/", **old)
        own, foreign = (key_set(issuer=f"{LOGIN}/{tid}/v2.0") for tid in (TENANT, OTHER))
        assert proven(payload, keys=own).holder.client_id == "caller"
        assert refused(payload, keys=foreign) == "key_issuer"
        any_tenant = key_set(issuer=f"{LOGIN}/{{tenantid}}/v2.0")
        assert proven(payload, metadata("common"), keys=any_tenant).holder.client_id == "caller"

    def test_a_rule_about_tenants_is_asked(self) -> None:
        asked = []

        def rule(tenant: str) -> bool:
            asked.append(tenant)
            return tenant == OTHER

        about = metadata("common")
        assert refused(person(), about, allowed_tenants=rule) == "tenant_not_allowed"
        assert proven(person(iss=f"{LOGIN}/{OTHER}/v2.0", tid=OTHER), about, allowed_tenants=rule)
        assert asked == [TENANT, OTHER]


class TestWhoCalls:
    def test_a_person_through_an_application(self) -> None:
        holder = proven(person(scp="Orders.Read Orders.List", roles=["Admin"])).holder
        assert holder.scopes == {"Orders.Read", "Orders.List"}
        assert (holder.is_app, holder.client_id, holder.roles) == (False, "caller", {"Admin"})
        assert not proven(person(idtyp="user")).holder.is_app

    @pytest.mark.parametrize("idtyp", ["app", ABSENT])
    def test_an_application_by_itself(self, idtyp: object) -> None:
        own = {"scp": ABSENT, "sub": OID, "roles": ["Orders.Read.All"], "idtyp": idtyp}
        holder = proven(person(**own)).holder
        assert (holder.is_app, holder.scopes, holder.roles) == (
            True, frozenset(), {"Orders.Read.All"},
        )  # fmt: skip

    @pytest.mark.parametrize(
        "claim", ["name", "preferred_username", "upn", "unique_name", "email", "sid", "amr"]
    )
    def test_what_has_anything_of_a_person_is_no_applications(self, claim: str) -> None:
        own = {"scp": ABSENT, "sub": OID, "roles": ["Orders.Read.All"], claim: "x"}
        assert refused(person(**own)) == "id_token"
        assert refused(person(**own, idtyp="app")) == "idtyp"

    def test_ids_of_applications_are_compared_in_either_case_at_microsoft(self) -> None:
        assert proven(person(azp=OID.upper()), allowed_clients={OID})
        assert refused(person(azp=OTHER), allowed_clients={OID}) == "client_not_allowed"


def test_a_token_that_ends_before_it_begins_is_none() -> None:
    assert refused(person(nbf=NOW + 30, exp=NOW + 20)) == "exp"
    assert refused(person(nbf=ABSENT, iat=NOW + 30, exp=NOW + 20)) == "exp"


def test_entras_tokens_say_their_version() -> None:
    assert refused(person(ver=ABSENT)) == "ver"


class TestB2c:
    HOST = "https://contoso.b2clogin.com"
    about = at(f"{HOST}/contoso.onmicrosoft.com/b2c_1_susi", f"{HOST}/{TENANT}/v2.0/")
    own = {"iss": f"{HOST}/{TENANT}/v2.0/", "ver": "1.0", "tid": ABSENT, "tfp": "B2C_1_susi"}

    def test_its_access_tokens_repeat_the_nonce(self) -> None:
        assert proven(person(**self.own, nonce="defaultNonce"), self.about).holder.scopes

    def test_its_id_tokens_open_nothing(self) -> None:
        gone = {"scp": ABSENT, "azp": ABSENT, "nonce": "n", "sub": OID}
        assert refused(person(**self.own, **gone), self.about) == "no_permissions"
        assert refused(person(**self.own, **gone, roles=["x"]), self.about) == "id_token"

    @pytest.mark.parametrize(
        ("named", "is_ours"),
        [
            ({"tfp": "B2C_1_susi"}, True),
            ({"tfp": "b2c_1_SUSI"}, True),
            ({"acr": "b2c_1_edit"}, True),
            ({}, True),
            ({"acr": "urn:of:a:custom:policy"}, True),
            ({"tfp": "B2C_1_reset"}, False),
            ({"acr": "b2c_1_reset"}, False),
            ({"tfp": "B2C_1_reset", "acr": "b2c_1_susi"}, False),
            ({"tfp": 1}, False),
            ({"tfp": ["B2C_1_susi"]}, False),
        ],
    )
    def test_only_the_sites_own_flows_count(self, named: Any, is_ours: bool) -> None:
        assert is_of_flows(named, {"B2C_1_susi", "b2c_1_edit"}) is is_ours

    def test_it_has_no_older_issuer(self) -> None:
        payload = person(**{**self.own, "iss": f"https://sts.windows.net/{TENANT}/"})
        assert refused(payload, self.about) == "iss"


class TestAdfs:
    HOST = "adfs.contoso.example"
    trust = f"http://{HOST}/adfs/services/trust"
    own = {"iss": trust, "appid": "caller", "azp": ABSENT, "tid": ABSENT, "ver": "1.0"}

    def about(self, announced: object) -> ProviderMetadata:
        base = f"https://{self.HOST}/adfs"
        return at(base, base, access_token_issuer=announced)

    def test_its_access_tokens_have_the_issuer_that_it_announces(self) -> None:
        found = proven(person(**self.own, roles="Admin"), self.about(self.trust))
        assert found.holder.roles == {"Admin"}
        assert found.issuer == f"https://{self.HOST}/adfs"

    @pytest.mark.parametrize(
        "announced",
        [None, 1, "http://evil.example/adfs/services/trust", "https://sts.windows.net/"],
    )
    def test_only_where_it_is_its_own(self, announced: object) -> None:
        assert refused(person(**self.own), self.about(announced)) == "iss"
        if announced is not None:
            payload = person(**{**self.own, "iss": announced})
            assert refused(payload, self.about(announced)) == "iss"


class TestOtherProviders:
    def test_a_scope_or_the_type_tell_an_access_token(self) -> None:
        assert proven(plain(), metadata()).holder.scopes == {"orders.read"}
        typed = proven(plain(scope=ABSENT, roles=["x"]), metadata(), TYPED)
        assert typed.holder.roles == {"x"}
        assert refused(plain(scope=ABSENT), metadata()) == "id_token"
        assert refused(plain(scope=ABSENT, roles=["x"]), metadata()) == "id_token"
        assert refused(plain(scope=ABSENT), metadata(), TYPED) == "no_permissions"

    @pytest.mark.parametrize("mark", ["nonce", "at_hash", "c_hash", "s_hash"])
    def test_what_id_tokens_alone_have_opens_nothing(self, mark: str) -> None:
        assert refused(plain(**{mark: "x"}), metadata()) == "id_token"
        assert refused(plain(**{mark: "x"}), metadata(), TYPED) == "id_token"

    def test_it_may_be_for_several_apis(self) -> None:
        assert proven(plain(aud=[f"{ISSUER}/userinfo", CLIENT]), metadata())
        assert refused(plain(aud=[f"{ISSUER}/userinfo"]), metadata()) == "aud"
        assert refused(plain(aud=[CLIENT, 1]), metadata()) == "aud"
        assert refused(plain(aud=f"api://{CLIENT}"), metadata()) == "aud"

    @pytest.mark.parametrize(
        "own",
        [
            {"sub": "caller"},
            {"sub": "caller@clients"},
            {"gty": "client-credentials"},
            {"preferred_username": "service-account-caller"},
            {"clientHost": "192.0.2.1", "clientAddress": "192.0.2.1"},
            {"clientId": "caller", "sid": "of-its-refresh-token"},
            {"idtyp": "app"},
        ],
    )
    def test_an_application_by_itself_passes_for_no_person(self, own: Claims) -> None:
        holder = proven(plain(**own), metadata(), TYPED).holder
        assert holder.is_app
        assert holder.scopes == frozenset()
        assert holder.roles == {"orders.read"}

    @pytest.mark.parametrize("mark", ["sid", "session_state", "auth_time"])
    def test_a_person_becomes_no_application_by_the_name_they_choose(self, mark: str) -> None:
        chosen = {"preferred_username": "service-account-caller", mark: "x"}
        assert refused(plain(**chosen), metadata(), TYPED) == "idtyp"
        assert not proven(plain(**{mark: "x"}), metadata(), TYPED).holder.is_app

    def test_it_names_the_application_it_was_given_to(self) -> None:
        assert refused(plain(client_id=ABSENT), metadata(), TYPED) == "azp"
        assert refused(plain(azp="another"), metadata(), TYPED) == "azp"
        assert proven(plain(client_id=ABSENT, azp="x"), metadata(), TYPED).holder.client_id == "x"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
CLAIMS = [
    *("iss", "sub", "oid", "tid", "aud", "azp", "appid", "scp", "roles", "idtyp", "ver", "iat"),
    *("exp", "nbf", "cnf", "nonce", "typ", "at_hash", "scope", "client_id", "name"),
]


class TestHostile:
    @settings(max_examples=150, deadline=None)
    @given(st.dictionaries(st.sampled_from(CLAIMS), VALUES, min_size=1, max_size=4))
    def test_no_claim_of_whatever_kind_does_more_than_be_refused(self, changes: Claims) -> None:
        for about, good in ((metadata("common"), person()), (metadata(), plain())):
            try:
                found = proven({**good, **changes}, about)
            except AccessTokenError:
                continue
            else:
                assert found.holder.is_app or found.holder.scopes
                assert found.claims.get("cnf") is None
                assert found.claims["aud"] in ([CLIENT], CLIENT, f"api://{CLIENT}") or (
                    CLIENT in found.claims["aud"]
                )

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=40) | st.binary(max_size=40) | VALUES)
    def test_no_text_does_more_than_be_malformed(self, text: object) -> None:
        with pytest.raises(AccessTokenError) as caught:
            read_access_token(text)
        assert caught.value.code == "malformed"

    @settings(max_examples=100, deadline=None)
    @given(st.dictionaries(st.text(max_size=6), VALUES, max_size=4))
    def test_no_header_does_more_than_be_refused(self, header: Claims) -> None:
        try:
            text = token(person(), header=header)
        except (KeyError, TypeError):
            return
        with suppress(AccessTokenError):
            verify_signature(read_access_token(text), key_set(), {"RS256"})


def test_what_is_shown_of_a_token_holds_nothing_of_it() -> None:
    found = proven(person(name="Ada Keyring"))
    text = token(person(name="Ada Keyring"))
    shown = f"{found!r} {read_access_token(text)!r}"
    assert "Ada" not in shown
    assert text not in shown
    assert "Ada" in json.dumps(dict(found.claims))

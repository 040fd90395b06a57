"""Whether a signed ID token is about this sign-in, at this client, now: each rule, both sides."""

from __future__ import annotations

from typing import Any

import pytest

from keyfob.errors import IdTokenError, SubjectChangedError
from keyfob.protocol.id_token import tenant_is_allowed
from keyfob.protocol.signing import ASYMMETRIC_ALGORITHMS
from support.id_tokens import (
    ABSENT,
    CLIENT,
    ISSUER,
    LOGIN,
    NOW,
    OTHER,
    TENANT,
    Claims,
    claims,
    code_of,
    entra,
    judged,
    key_set,
    metadata,
    refused,
    token,
)
from support.provider_jose import half_hash


class TestIssuer:
    @pytest.mark.parametrize(
        "iss",
        [ABSENT, None, "", 1, [ISSUER], f"{ISSUER}/", "HTTPS://idp.example", "https://x.example"],
    )
    def test_it_must_be_exactly_the_metadatas(self, iss: object) -> None:
        assert refused(claims(iss=iss)) == "iss"

    def test_the_template_is_filled_with_the_tokens_tenant(self) -> None:
        about = metadata("common")
        assert judged(token(entra()), about=about)["tid"] == TENANT
        assert refused(entra(tid=OTHER), about=about) == "iss"
        assert refused(entra(tid=ABSENT), about=about) == "iss"
        assert refused(entra(iss=f"{LOGIN}/{{tenantid}}/v2.0"), about=about) == "iss"

    @pytest.mark.parametrize("tid", ["common", "{tenantid}", "../x", "", "contoso.example"])
    def test_the_template_takes_only_a_tenants_id(self, tid: str) -> None:
        payload = entra(tid=tid, iss=f"{LOGIN}/{tid}/v2.0")
        assert refused(payload, about=metadata("common")) == "iss"

    @pytest.mark.parametrize("tid", [1, ["x"], None, {}])
    def test_a_tenant_that_is_no_text_is_refused(self, tid: object) -> None:
        assert refused(entra(tid=tid), about=metadata("common")) in ("tid", "iss")

    def test_the_tenant_is_that_of_the_issuer(self) -> None:
        about = metadata(TENANT)
        assert judged(token(entra()), about=about)
        assert judged(token(entra(tid=ABSENT)), about=about)
        assert refused(entra(tid=OTHER), about=about) == "tid"

    @pytest.mark.parametrize(
        ("issuer", "good"),
        [
            (f"{LOGIN}/{{tenantid}}/v2.0", True),
            (f"{LOGIN}/{TENANT}/v2.0", True),
            (f"{LOGIN}/{OTHER}/v2.0", False),
            ("https://evil.example/{tenantid}/v2.0", False),
            ("", False),
        ],
    )
    def test_a_key_signs_only_for_the_issuer_it_names(self, issuer: str, good: bool) -> None:
        keys, about = key_set(issuer=issuer), metadata("common")
        if good:
            assert judged(token(entra()), keys, about)
        else:
            assert refused(entra(), keys=keys, about=about) == "key_issuer"

    @pytest.mark.parametrize("oid", [None, "", 1, "x" * 256])
    def test_microsofts_object_id_is_a_name_or_absent(self, oid: object) -> None:
        assert refused(entra(oid=oid), about=metadata(TENANT)) == "oid"
        assert judged(token(entra(oid=ABSENT)), about=metadata(TENANT))


class TestTenantRule:
    @pytest.mark.parametrize(
        ("rule", "good"),
        [
            ([TENANT], True),
            ([TENANT.upper()], True),
            ({OTHER, TENANT}, True),
            ([OTHER], False),
            ([], False),
            (lambda tid: tid == TENANT, True),
            (lambda _: "yes", True),
            (lambda _: None, False),
            (lambda _: 0, False),
            (lambda _: False, False),
        ],
    )
    def test_only_allowed_tenants_come_in(self, rule: Any, good: bool) -> None:
        about = metadata("common")
        if good:
            assert judged(token(entra()), about=about, allowed_tenants=rule)
        else:
            code = refused(entra(), about=about, allowed_tenants=rule)
            assert code == "tenant_not_allowed"

    def test_a_function_is_given_the_tenant_in_lower_case(self) -> None:
        asked: list[str] = []
        assert not tenant_is_allowed(TENANT.upper(), asked.append)
        assert asked == [TENANT]
        assert TENANT == TENANT.lower() != TENANT.upper()

    def test_who_has_no_tenant_is_in_no_allowed_one(self) -> None:
        assert refused(claims(), allowed_tenants=[TENANT]) == "tenant_not_allowed"
        assert not tenant_is_allowed(None, lambda _: True)


class TestUserFlow:
    def test_a_token_of_another_flow_is_refused(self) -> None:
        assert refused(claims(tfp="b2c_1_edit"), policy="B2C_1_susi") == "user_flow"
        assert refused(claims(acr="b2c_1_edit"), policy="B2C_1_susi") == "user_flow"

    def test_one_of_this_flow_or_of_none_is_good(self) -> None:
        for named in ({"tfp": "b2c_1_susi"}, {"acr": "B2C_1_SUSI"}, {"acr": "urn:level"}, {}):
            assert judged(token(claims(**named)), policy="B2C_1_susi")

    def test_elsewhere_such_claims_mean_something_else(self) -> None:
        assert judged(token(claims(tfp="b2c_1_edit", acr="b2c_1_edit")))


class TestSubjectAndAudience:
    @pytest.mark.parametrize("sub", [ABSENT, None, "", 1, ["s"], "s" * 256])
    def test_a_subject_is_a_short_text(self, sub: object) -> None:
        assert refused(claims(sub=sub)) == "sub"
        assert judged(token(claims(sub="s" * 255)))

    @pytest.mark.parametrize(
        "aud",
        [
            ABSENT,
            None,
            "",
            "other",
            1,
            [],
            ["other"],
            [CLIENT, 1],
            [[CLIENT]],
            {CLIENT: 1},
            "Client",
        ],
    )
    def test_it_must_be_for_this_client(self, aud: object) -> None:
        assert refused(claims(aud=aud)) == "aud"

    def test_an_audience_may_be_a_list(self) -> None:
        assert judged(token(claims(aud=[CLIENT])))
        assert judged(token(claims(aud=[CLIENT, "other"], azp=CLIENT)))

    def test_one_of_several_audiences_must_be_named_as_the_party(self) -> None:
        assert refused(claims(aud=[CLIENT, "other"])) == "azp"

    @pytest.mark.parametrize("azp", ["other", None, "", 1, [CLIENT]])
    def test_another_authorized_party_is_refused(self, azp: object) -> None:
        assert refused(claims(azp=azp)) == "azp"
        assert judged(token(claims(azp=CLIENT)))


class TestTimes:
    @pytest.mark.parametrize(
        ("name", "value", "good"),
        [
            ("exp", NOW - 59, True),
            ("exp", NOW - 60, False),
            ("exp", NOW + 0.5, True),
            ("iat", NOW + 60, True),
            ("iat", NOW + 61, False),
            ("iat", 0, True),
            ("nbf", NOW + 60, True),
            ("nbf", NOW + 61, False),
            ("nbf", ABSENT, True),
        ],
    )
    def test_the_leeway_is_forgiven_and_no_more(self, name: str, value: float, good: bool) -> None:
        payload = claims(**{name: value})
        if good:
            assert judged(token(payload))
        else:
            assert refused(payload) == name
            assert judged(token(payload), leeway=600)

    def test_no_leeway_is_possible(self) -> None:
        assert refused(claims(exp=NOW), leeway=0) == "exp"
        assert judged(token(claims(exp=NOW + 1)), leeway=0)

    @pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
    @pytest.mark.parametrize("value", [None, "", str(NOW + 9), True, [], -1, 1e300, {}])
    def test_a_time_is_a_sensible_number(self, name: str, value: object) -> None:
        assert refused(claims(**{name: value})) == name

    @pytest.mark.parametrize("name", ["exp", "iat"])
    def test_expiry_and_issue_are_needed(self, name: str) -> None:
        assert refused(claims(**{name: ABSENT})) == name

    def test_the_message_says_how_far_the_clocks_may_be_apart(self) -> None:
        with pytest.raises(IdTokenError, match=r"90 seconds in the future.*LEEWAY"):
            judged(token(claims(iat=NOW + 90)))

    @pytest.mark.parametrize(
        ("auth_time", "good"),
        [
            (NOW - 300, True),
            (NOW - 360, True),
            (NOW - 361, False),
            (NOW + 61, False),
            (ABSENT, False),
            (None, False),
            (str(NOW), False),
        ],
    )
    def test_max_age_is_kept(self, auth_time: object, good: bool) -> None:
        payload = claims(auth_time=auth_time)
        if good:
            assert judged(token(payload), max_age=300)
        else:
            assert refused(payload, max_age=300) == "auth_time"
            assert judged(token(payload))

    def test_a_max_age_of_nothing_asks_for_a_sign_in_now(self) -> None:
        assert judged(token(claims(auth_time=NOW)), max_age=0)
        assert refused(claims(auth_time=NOW - 61), max_age=0) == "auth_time"


class TestNonceAndHashes:
    @pytest.mark.parametrize("nonce", [ABSENT, None, "", "other", 1, ["nonce"], "nönce", "NONCE"])
    def test_it_belongs_to_this_attempt(self, nonce: object) -> None:
        assert refused(claims(nonce=nonce)) == "nonce"

    @pytest.mark.parametrize("alg", sorted(ASYMMETRIC_ALGORITHMS))
    def test_a_hash_is_that_of_what_came_along(self, alg: str) -> None:
        payload = claims(at_hash=half_hash("token", alg), c_hash=half_hash("code", alg))
        text, keys = token(payload, alg), key_set(alg)
        assert judged(text, keys, access_token="token", code="code")
        assert code_of(lambda: judged(text, keys, access_token="other")) == "at_hash"
        assert code_of(lambda: judged(text, keys, code="other")) == "c_hash"

    @pytest.mark.parametrize("value", [None, "", 1, [], half_hash("token", "RS512")])
    def test_a_hash_that_is_none_is_refused(self, value: object) -> None:
        assert refused(claims(at_hash=value), access_token="token") == "at_hash"
        assert refused(claims(c_hash=value), code="token") == "c_hash"

    def test_a_hash_may_be_missing(self) -> None:
        assert judged(token(claims()), access_token="token", code="code")


class TestRefreshed:
    """OpenID Connect Core §12.2."""

    @pytest.mark.parametrize("change", [{"sub": "somebody"}, {"iss": "https://old.example"}])
    def test_it_names_the_same_subject_and_issuer(self, change: Claims) -> None:
        previous = claims(**change)
        with pytest.raises(SubjectChangedError):
            judged(token(claims()), nonce=None, previous=previous)
        assert judged(token(claims()), nonce=None, previous=claims())

    def test_it_need_not_repeat_the_nonce_but_must_not_alter_it(self) -> None:
        previous = claims()
        assert judged(token(claims(nonce=ABSENT)), nonce=None, previous=previous)
        assert judged(token(claims()), nonce=None, previous=previous)
        assert refused(claims(nonce="other"), nonce=None, previous=previous) == "nonce"

    def test_nothing_else_is_forgiven(self) -> None:
        for change, code in (({"aud": "x"}, "aud"), ({"exp": 1}, "exp"), ({"azp": "x"}, "azp")):
            assert refused(claims(**change), nonce=None, previous=claims()) == code

"""A person's token by their password: at Microsoft, at a federated domain's server, elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob import PublicClientApplication
from keyfob.errors import (
    BrokerNotSupported,
    ConfigurationError,
    FederationError,
    IdTokenError,
    KeyfobError,
    ProviderUnavailable,
)
from keyfob.protocol.http import HttpResponse
from keyfob.protocol.wstrust import TrustEndpoint, parse_mex, parse_trust_response
from support.federated_server import (
    PASSWORD,
    SAML20,
    USERNAME,
    WST13,
    WST2005,
    FederatedServer,
)
from support.provider import HOME_TENANT, Person, Provider
from support.provider_http import Reply
from support.sign_in import application

SAML11_GRANT = "urn:ietf:params:oauth:grant-type:saml1_1-bearer"
SAML20_GRANT = "urn:ietf:params:oauth:grant-type:saml2-bearer"
GRANTS = ["password", SAML11_GRANT, SAML20_GRANT]
ADA = "ada@contoso.example"


@pytest.fixture
def entra() -> Iterator[Provider]:
    with Provider(entra=True, direct_grants=GRANTS) as provider:
        yield provider


@pytest.fixture
def server(entra: Provider) -> Iterator[FederatedServer]:
    with FederatedServer() as server:
        realm = {"account_type": "Federated", "federation_metadata_url": f"{server.url}/mex"}
        entra.raw["userrealm"] = lambda _: Provider.json(realm)
        yield server


def acquire(provider: Provider, username: str = ADA, password: str = "pw", **more: Any) -> Any:
    app = application(provider)
    try:
        return app.acquire_token_by_username_password(username, password, ["Read"], **more)
    finally:
        app.close()


class TestManaged:
    def test_microsoft_is_asked_who_checks_and_then_for_the_token(self, entra: Provider) -> None:
        result = acquire(entra, claims_challenge="{}")
        (realm,) = entra.requests_to("userrealm")
        assert (realm.path, realm.query) == (f"/common/userrealm/{ADA}", {"api-version": "1.0"})
        (request,) = entra.requests_to("token")
        assert {k: request.form[k] for k in ("grant_type", "username", "password", "scope")} == {
            "grant_type": "password",
            "username": ADA,
            "password": "pw",
            "scope": "Read offline_access openid profile",
        }
        assert request.form["claims"] == "{}"
        assert request.headers["x-anchormailbox"] == f"upn:{ADA}"
        assert request.headers["x-client-current-telemetry"] == "4|301,0|"
        assert result["id_token_claims"]["oid"] == Person().oid

    def test_the_account_is_served_silently_afterwards(self, entra: Provider) -> None:
        app = application(entra)
        app.acquire_token_by_username_password(ADA, "pw", ["Read"])
        (account,) = app.get_accounts(ADA)
        assert account["account_source"] == "password"
        assert (app.acquire_token_silent(["Read"], account) or {})["token_source"] == "cache"
        app.close()

    def test_a_user_name_is_encoded_in_the_address(self, entra: Provider) -> None:
        acquire(entra, "a/../b?c#d e@contoso.example")
        (realm,) = entra.requests_to("userrealm")
        assert realm.path == "/common/userrealm/a%2F..%2Fb%3Fc%23d%20e@contoso.example"

    def test_a_wrong_password_is_the_providers_no(self, entra: Provider) -> None:
        body = b'{"error": "invalid_grant", "error_codes": [50126]}'
        entra.raw["token"] = lambda _: Reply(400, {}, body)
        assert acquire(entra)["error_codes"] == [50126]

    def test_a_forged_id_token_caches_nothing(self, entra: Provider) -> None:
        entra.mutate_claims = lambda claims: claims.update(iss="https://evil.example")
        app = application(entra)
        with pytest.raises(IdTokenError):
            app.acquire_token_by_username_password(ADA, "pw", ["Read"])
        assert app.get_accounts() == []
        app.close()

    def test_a_public_client_is_warned_and_proves_nothing(self, entra: Provider) -> None:
        entra.auth_methods = ("none",)
        app = PublicClientApplication(entra.client_id, authority=entra.authority(HOME_TENANT))
        with pytest.warns(DeprecationWarning, match="initiate_device_flow"):
            result = app.acquire_token_by_username_password(ADA, "pw", ["Read"])
        app.close()
        assert "access_token" in result
        assert "client_secret" not in entra.requests_to("token")[0].form

    @pytest.mark.parametrize("bad", ["", None, 1, "a\nb"])
    def test_a_user_name_that_is_none_is_refused(self, entra: Provider, bad: Any) -> None:
        with pytest.raises(ConfigurationError, match="username"):
            acquire(entra, bad)
        assert entra.requests_to("token") == []

    def test_an_empty_password_is_refused(self, entra: Provider) -> None:
        with pytest.raises(ConfigurationError, match="password"):
            acquire(entra, ADA, "")

    def test_proof_of_possession_needs_a_broker(self, entra: Provider) -> None:
        with pytest.raises(BrokerNotSupported):
            acquire(entra, auth_scheme=object())

    def test_elsewhere_the_provider_itself_checks(self) -> None:
        with Provider(direct_grants=GRANTS) as provider:
            assert "access_token" in acquire(provider)
            assert [r.endpoint for r in provider.requests] == ["discovery", "token", "keys"]


class TestFederated:
    def test_the_domains_server_vouches_and_its_assertion_is_the_grant(
        self, entra: Provider, server: FederatedServer
    ) -> None:
        result = acquire(entra, USERNAME, PASSWORD)
        assert [r.path for r in server.requests] == ["/mex", "/trust/13"]
        (request,) = entra.requests_to("token")
        assert request.form["grant_type"] == SAML11_GRANT
        assert request.form["assertion"] == server.grant, "byte for byte"
        assert "password" not in request.form
        assert "x-anchormailbox" not in request.headers
        assert result["token_source"] == "identity_provider"

    def test_the_request_is_ws_trusts(self, entra: Provider, server: FederatedServer) -> None:
        acquire(entra, USERNAME, PASSWORD)
        request = server.requests[1]
        text = request.body.decode()
        assert request.headers["content-type"] == "application/soap+xml; charset=utf-8"
        assert request.headers["soapaction"] == f"{WST13}/RST/Issue"
        assert "<a:Address>urn:federation:MicrosoftOnline</a:Address>" in text
        assert f"<t:KeyType>{WST13}/Bearer</t:KeyType>" in text
        assert f'<a:To s:mustUnderstand="1">{server.url}/trust/13</a:To>' in text

    def test_the_older_version_serves_where_there_is_no_other(
        self, entra: Provider, server: FederatedServer
    ) -> None:
        server.versions, server.kind = ["2005"], SAML20
        assert "access_token" in acquire(entra, USERNAME, PASSWORD)
        assert server.requests[1].headers["soapaction"] == f"{WST2005}/RST/Issue"
        assert entra.requests_to("token")[0].form["grant_type"] == SAML20_GRANT

    def test_the_audience_is_what_microsoft_says(
        self, entra: Provider, server: FederatedServer
    ) -> None:
        realm = {
            "account_type": "Federated",
            "federation_metadata_url": f"{server.url}/mex",
            "cloud_audience_urn": "urn:federation:<another>",
        }
        entra.raw["userrealm"] = lambda _: Provider.json(realm)
        acquire(entra, USERNAME, PASSWORD)
        assert b"<a:Address>urn:federation:&lt;another&gt;</a:Address>" in server.requests[1].body

    def test_a_wrong_password_is_refused_in_words_of_ours(
        self, entra: Provider, server: FederatedServer
    ) -> None:
        with pytest.raises(FederationError, match="FailedAuthentication") as caught:
            acquire(entra, USERNAME, "wrong-password")
        assert isinstance(caught.value, (RuntimeError, ValueError))
        assert entra.requests_to("token") == []

    def test_what_the_server_says_is_not_repeated(
        self, entra: Provider, server: FederatedServer
    ) -> None:
        server.answer = server.fault("a:Bad", f"The password {PASSWORD} is wrong".replace("&", ""))
        with pytest.raises(FederationError) as caught:
            acquire(entra, USERNAME, PASSWORD)
        assert "sesame" not in str(caught.value) + repr(caught.value)

    def test_metadata_without_such_an_endpoint_are_refused(
        self, entra: Provider, server: FederatedServer
    ) -> None:
        server.versions = []
        with pytest.raises(FederationError, match="names no address"):
            acquire(entra, USERNAME, PASSWORD)

    @pytest.mark.parametrize("url", ["http://adfs.example/mex", "ftp://x", "", 5, "/mex"])
    def test_a_password_goes_to_https_only(self, entra: Provider, url: Any) -> None:
        realm = {"account_type": "Federated", "federation_metadata_url": url}
        entra.raw["userrealm"] = lambda _: Provider.json(realm)
        with pytest.raises(FederationError):
            acquire(entra, USERNAME, PASSWORD)

    def test_an_address_in_the_metadata_must_be_https_too(
        self, entra: Provider, server: FederatedServer
    ) -> None:
        server.mex = server.metadata().replace(server.url.encode(), b"http://adfs.example")
        with pytest.raises(FederationError, match="plain http"):
            acquire(entra, USERNAME, PASSWORD)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"<html>",
            b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
            '<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16"),
            b'<?xml version="1.0" encoding="no-such"?><a/>',
        ],
    )
    def test_what_is_no_sound_xml_is_refused(
        self, entra: Provider, server: FederatedServer, body: bytes
    ) -> None:
        server.mex = body or b" "
        with pytest.raises(FederationError, match="cannot be read"):
            acquire(entra, USERNAME, PASSWORD)
        server.mex = None
        server.answer = Reply(200, {}, body)
        with pytest.raises(FederationError, match="did not answer in SOAP"):
            acquire(entra, USERNAME, PASSWORD)

    @pytest.mark.parametrize("answer", [b"{}", b"[]", b"<html>", b'{"account_type": "Federated"}'])
    def test_a_realm_that_says_nothing_usable(self, entra: Provider, answer: bytes) -> None:
        entra.raw["userrealm"] = lambda _: Reply(200, {}, answer)
        if answer == b"{}":
            assert "access_token" in acquire(entra)
        else:
            with pytest.raises(FederationError):
                acquire(entra)

    def test_an_outage_of_the_server_is_worth_another_try(
        self, entra: Provider, server: FederatedServer
    ) -> None:
        server.answer = Reply(503, {}, b"")
        with pytest.raises(ProviderUnavailable):
            acquire(entra, USERNAME, PASSWORD)


@pytest.fixture(scope="module")
def endpoint() -> TrustEndpoint:
    with FederatedServer() as server:
        return parse_mex(HttpResponse(200, {}, server.metadata(), server.url))


@given(st.binary(max_size=400) | st.text(alphabet="<>/ab\"'=:&; ", max_size=200).map(str.encode))
def test_hostile_documents_end_in_a_typed_error(endpoint: TrustEndpoint, body: bytes) -> None:
    response = HttpResponse(200, {}, body, "https://adfs.example/mex")
    with pytest.raises(KeyfobError):
        parse_mex(response)
    with pytest.raises(KeyfobError):
        parse_trust_response(response, endpoint)

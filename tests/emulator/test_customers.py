"""Azure AD B2C and External ID: every shape of address, issuer and claim; real msal there."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msal
import pytest
import requests
from joserfc import jwt
from joserfc.jwk import KeySet

from keyfob_emulator import Emulator, EmulatorServer
from keyfob_emulator.in_process import mount
from keyfob_emulator.sample import PASSWORD
from keyfob_emulator.sample_customers import (
    B2C_DOMAIN,
    B2C_TENANT,
    CLUB,
    CLUB_SECRET,
    EXTERNAL_DOMAIN,
    EXTERNAL_TENANT,
    SHOP,
    SHOP_SECRET,
)
from support.msal_sign_in import sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator

B2C = "https://contosob2c.b2clogin.com"
CIAM = "https://contosocustomers.ciamlogin.com"
CUSTOM = "https://login.shop.example"
CUSTOM_CIAM = "https://login.club.example"
BASKET = f"https://{B2C_DOMAIN}/shop/Basket.Read"
FLOW = "b2c_1_susi"
TFP_FLOW = "b2c_1_susi_v2"
ELISA, LINUS = "elisa@shop.example", "linus@club.example"
PLAIN_ISSUER = f"{B2C}/{B2C_TENANT}/v2.0/"
CIAM_ISSUER = f"https://{EXTERNAL_TENANT}.ciamlogin.com/{EXTERNAL_TENANT}/v2.0"


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        mount(made, origins=(CUSTOM, CUSTOM_CIAM))
        yield made


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    with EmulatorServer() as running:
        yield running


def metadata(session: requests.Session, url: str) -> dict[str, Any]:
    response = session.get(url)
    assert response.status_code == 200, response.text
    return dict(response.json())


def verified(session: requests.Session, document: dict[str, Any], token: str) -> dict[str, Any]:
    keys = KeySet.import_key_set(session.get(document["jwks_uri"]).json())
    return dict(jwt.decode(token, keys, algorithms=["RS256"]).claims)


def shop(session: requests.Session, authority: str, **more: Any) -> Any:
    return msal.ConfidentialClientApplication(
        SHOP, SHOP_SECRET, authority=authority, http_client=session, **more
    )


@pytest.mark.parametrize(
    ("where", "endpoint", "issuer"),
    [
        (f"{B2C}/{B2C_DOMAIN}/{FLOW}", f"{B2C}/{B2C_DOMAIN}/{FLOW}/%s", PLAIN_ISSUER),
        (f"{B2C}/{B2C_DOMAIN}/B2C_1_SUSI", f"{B2C}/{B2C_DOMAIN}/{FLOW}/%s", PLAIN_ISSUER),
        (f"{B2C}/{B2C_TENANT}/{FLOW}", f"{B2C}/{B2C_TENANT}/{FLOW}/%s", PLAIN_ISSUER),
        (f"{B2C}/tfp/{B2C_DOMAIN}/{FLOW}", f"{B2C}/tfp/{B2C_DOMAIN}/{FLOW}/%s", PLAIN_ISSUER),
        (
            f"{B2C}/{B2C_DOMAIN}/{TFP_FLOW}",
            f"{B2C}/{B2C_DOMAIN}/{TFP_FLOW}/%s",
            f"{B2C}/tfp/{B2C_TENANT}/{TFP_FLOW}/v2.0/",
        ),
        (
            f"{CUSTOM}/{B2C_DOMAIN}/{FLOW}",
            f"{CUSTOM}/{B2C_DOMAIN}/{FLOW}/%s",
            f"{CUSTOM}/{B2C_TENANT}/v2.0/",
        ),
        (
            f"https://login.microsoftonline.com/tfp/{B2C_DOMAIN}/{FLOW}",
            f"https://login.microsoftonline.com/tfp/{B2C_DOMAIN}/{FLOW}/%s",
            f"https://login.microsoftonline.com/{B2C_TENANT}/v2.0/",
        ),
    ],
)
def test_metadata_of_a_user_flow(
    session: requests.Session, where: str, endpoint: str, issuer: str
) -> None:
    document = metadata(session, f"{where}/v2.0/.well-known/openid-configuration")
    assert document["issuer"] == issuer
    assert document["authorization_endpoint"] == endpoint % "oauth2/v2.0/authorize"
    assert document["token_endpoint"] == endpoint % "oauth2/v2.0/token"
    assert document["end_session_endpoint"] == endpoint % "oauth2/v2.0/logout"
    assert document["jwks_uri"] == endpoint % "discovery/v2.0/keys"
    assert "msgraph_host" not in document
    assert "issuer" not in session.get(document["jwks_uri"]).json()["keys"][0]


def test_a_user_flow_in_the_query_stays_in_the_query(session: requests.Session) -> None:
    url = f"{B2C}/{B2C_DOMAIN}/v2.0/.well-known/openid-configuration?p={FLOW}"
    document = metadata(session, url)
    assert document["issuer"] == PLAIN_ISSUER
    assert document["token_endpoint"] == f"{B2C}/{B2C_DOMAIN}/oauth2/v2.0/token?p={FLOW}"
    assert document["jwks_uri"] == f"{B2C}/{B2C_DOMAIN}/discovery/v2.0/keys?p={FLOW}"
    assert session.get(document["jwks_uri"]).json()["keys"]


def test_a_loopback_server_has_user_flows_too(server: EmulatorServer) -> None:
    with requests.Session() as session:
        session.trust_env = False
        for path in (f"{B2C_DOMAIN}/{FLOW}", f"tfp/{B2C_DOMAIN}/{FLOW}"):
            url = f"{server.url}/{path}/v2.0/.well-known/openid-configuration"
            document = metadata(session, url)
            assert document["issuer"] == f"{server.url}/{B2C_TENANT}/v2.0/"
            assert document["token_endpoint"] == f"{server.url}/{path}/oauth2/v2.0/token"


@pytest.mark.parametrize(
    "path", [f"{B2C_DOMAIN}/b2c_1_nothing", f"tfp/nowhere.example/{FLOW}", B2C_DOMAIN, "common"]
)
def test_without_a_known_user_flow_there_is_nothing(session: requests.Session, path: str) -> None:
    url = f"{B2C}/{path}/v2.0/.well-known/openid-configuration"
    assert session.get(url).status_code == 404


@pytest.mark.parametrize(
    ("authority", "claim"),
    [
        (f"{B2C}/{B2C_DOMAIN}/{FLOW}", "tfp"),
        (f"{B2C}/tfp/{B2C_DOMAIN}/{FLOW}", "tfp"),
        (f"{B2C}/{B2C_DOMAIN}/{TFP_FLOW}", "acr"),
        (f"{CUSTOM}/{B2C_DOMAIN}/{FLOW}", "tfp"),
    ],
)
def test_a_customer_signs_in_with_msal(
    session: requests.Session, authority: str, claim: str
) -> None:
    app = shop(session, authority)
    document = metadata(session, f"{authority}/v2.0/.well-known/openid-configuration")
    result = sign_in(app, session, [BASKET], ELISA)
    told = verified(session, document, result["id_token"])
    account = Emulator().account(ELISA)
    assert told["iss"] == document["issuer"]
    assert told["aud"] == SHOP
    assert told["sub"] == told["oid"] == account.object_id
    assert told["emails"] == [ELISA]
    assert told["ver"] == "1.0"
    assert not {"tid", "preferred_username", "rh"} & told.keys()
    policy = authority.rpartition("/")[2]
    assert told[claim] == policy
    access = verified(session, document, result["access_token"])
    assert (access["scp"], access["azp"], access[claim]) == ("Basket.Read", SHOP, policy)
    info = json.loads(base64.urlsafe_b64decode(result["client_info"] + "=="))
    assert info == {"uid": f"{account.object_id}-{policy}", "utid": B2C_TENANT}
    (known,) = app.get_accounts()
    assert known["home_account_id"] == f"{account.object_id}-{policy}.{B2C_TENANT}"
    silent = app.acquire_token_silent([BASKET], known, force_refresh=True)
    assert silent is not None
    assert silent["token_source"] == "identity_provider"


def test_a_client_gets_a_token_for_itself_by_its_bare_id(session: requests.Session) -> None:
    app = shop(session, f"{B2C}/{B2C_DOMAIN}/{FLOW}")
    result = sign_in(app, session, [SHOP], ELISA)
    assert SHOP in result["scope"].split()
    assert jwt.decode(result["access_token"], _any_key(session), algorithms=["RS256"]).claims[
        "aud"
    ] == SHOP  # fmt: skip
    silent = app.acquire_token_silent([SHOP], app.get_accounts()[0])
    assert silent is not None
    assert silent["token_source"] == "cache"


def _any_key(session: requests.Session) -> KeySet:
    return KeySet.import_key_set(
        session.get(f"{B2C}/{B2C_DOMAIN}/{FLOW}/discovery/v2.0/keys").json()
    )


def test_a_sign_in_without_an_api_gives_no_access_token(session: requests.Session) -> None:
    result = sign_in(shop(session, f"{B2C}/{B2C_DOMAIN}/{FLOW}"), session, [], ELISA)
    assert "id_token" in result
    assert "refresh_token" in result
    assert "access_token" not in result
    assert result["id_token_expires_in"] > 0


def test_what_came_from_one_user_flow_serves_no_other(session: requests.Session) -> None:
    first = shop(session, f"{B2C}/{B2C_DOMAIN}/{FLOW}")
    result = sign_in(first, session, [BASKET], ELISA)
    other = shop(session, f"{B2C}/{B2C_DOMAIN}/b2c_1_edit_profile")
    refused = other.acquire_token_by_refresh_token(result["refresh_token"], [BASKET])
    assert refused["error"] == "invalid_grant"
    assert refused["error_description"].startswith("AADB2C90088: ")


def test_an_application_of_b2c_gets_a_token_for_itself(session: requests.Session) -> None:
    app = shop(session, f"{B2C}/{B2C_DOMAIN}/{FLOW}")
    result = app.acquire_token_for_client([f"https://{B2C_DOMAIN}/shop/.default"])
    document = metadata(session, f"{B2C}/{B2C_DOMAIN}/{FLOW}/v2.0/.well-known/openid-configuration")
    told = verified(session, document, result["access_token"])
    assert (told["iss"], told["aud"], told["tfp"]) == (PLAIN_ISSUER, SHOP, FLOW)


def test_msal_looks_up_a_custom_domain_with_tfp_and_is_refused(session: requests.Session) -> None:
    # msal does not see that this is B2C, and asks the public cloud about the host.
    with pytest.raises(ValueError, match="invalid_instance"):
        shop(session, f"{CUSTOM}/tfp/{B2C_DOMAIN}/{FLOW}")
    app = shop(session, f"{CUSTOM}/tfp/{B2C_DOMAIN}/{FLOW}", validate_authority=False)
    assert app.authority.tenant == "tfp"


def test_customers_are_strangers_at_common(session: requests.Session) -> None:
    site = Emulator().application("f1a5c000-0001-4f1a-9b01-000000000001")
    app = msal.ConfidentialClientApplication(
        site.client_id, site.secrets[0], http_client=session, instance_discovery=False
    )
    flow = app.initiate_auth_code_flow(
        [], redirect_uri="http://localhost:5000/auth/callback", response_mode="form_post"
    )
    assert "ada@contoso.example" in session.get(flow["auth_uri"]).text
    assert ELISA not in session.get(flow["auth_uri"]).text


# External ID


@pytest.mark.parametrize(
    ("where", "address"),
    [
        (f"{CIAM}/{EXTERNAL_DOMAIN}", CIAM),
        (f"{CIAM}/{EXTERNAL_TENANT}", CIAM),
        (CIAM, CIAM),
        (f"{CUSTOM_CIAM}/{EXTERNAL_TENANT}", CUSTOM_CIAM),
        (
            f"https://{EXTERNAL_TENANT}.ciamlogin.com/{EXTERNAL_TENANT}",
            f"https://{EXTERNAL_TENANT}.ciamlogin.com",
        ),
    ],
)
def test_an_external_tenant_has_one_issuer_wherever_it_is_met(
    session: requests.Session, where: str, address: str
) -> None:
    document = metadata(session, f"{where}/v2.0/.well-known/openid-configuration")
    assert document["issuer"] == CIAM_ISSUER
    assert document["token_endpoint"] == f"{address}/{EXTERNAL_TENANT}/oauth2/v2.0/token"
    assert document["msgraph_host"] == "graph.microsoft.com"


def test_its_issuer_leads_back_to_its_metadata(session: requests.Session) -> None:
    document = metadata(session, f"{CIAM_ISSUER}/.well-known/openid-configuration")
    assert document["issuer"] == CIAM_ISSUER


@pytest.mark.parametrize(
    "options",
    [
        {"authority": CIAM},
        {"authority": f"{CIAM}/{EXTERNAL_DOMAIN}"},
        {"oidc_authority": f"{CIAM}/{EXTERNAL_TENANT}/v2.0"},
        {"oidc_authority": f"{CUSTOM_CIAM}/{EXTERNAL_TENANT}/v2.0"},
    ],
    ids=lambda options: next(iter(options.values())),
)
def test_a_member_signs_in_with_msal(session: requests.Session, options: dict[str, str]) -> None:
    app = msal.ConfidentialClientApplication(
        CLUB, CLUB_SECRET, http_client=session, **options
    )  # fmt: skip
    result = sign_in(app, session, ["User.Read"], LINUS)
    told = result["id_token_claims"]
    assert told["iss"] == CIAM_ISSUER
    assert told["tid"] == EXTERNAL_TENANT
    assert told["preferred_username"] == LINUS
    headers = {"Authorization": f"Bearer {result['access_token']}"}
    me = session.get("https://graph.microsoft.com/v1.0/me", headers=headers).json()
    assert me["displayName"] == "Linus Lever"
    (account,) = app.get_accounts()
    silent = app.acquire_token_silent(["User.Read"], account, force_refresh=True)
    assert silent is not None
    assert silent["token_source"] == "identity_provider"


def test_an_unknown_subdomain_is_an_unknown_tenant(session: requests.Session) -> None:
    mount(session, origins=("https://nobody.ciamlogin.com",))
    url = "https://nobody.ciamlogin.com/v2.0/.well-known/openid-configuration"
    assert session.get(url).json()["error_codes"] == [90002]


def test_an_external_tenant_on_loopback_has_the_issuer_of_external_id(
    server: EmulatorServer,
) -> None:
    with requests.Session() as session:
        session.trust_env = False
        url = f"{server.url}/{EXTERNAL_DOMAIN}/v2.0/.well-known/openid-configuration"
        document = metadata(session, url)
    assert document["issuer"] == CIAM_ISSUER
    assert urlsplit(document["token_endpoint"]).netloc == urlsplit(server.url).netloc


def test_an_own_user_flow_is_served_when_it_is_added(session: requests.Session) -> None:
    emulator = mount(session)
    tenant = emulator.directory.tenant(B2C_TENANT)
    assert tenant is not None
    flow = replace(tenant.user_flows[0], name="B2C_1A_custom")
    emulator.add(replace(tenant, user_flows=(flow,)))
    url = f"{B2C}/{B2C_DOMAIN}/%s/v2.0/.well-known/openid-configuration"
    assert session.get(url % "B2C_1A_Custom").status_code == 200
    assert session.get(url % FLOW).status_code == 404


def test_a_customer_signs_out_where_they_signed_in(session: requests.Session) -> None:
    authority = f"{B2C}/{B2C_DOMAIN}/{FLOW}"
    document = metadata(session, f"{authority}/v2.0/.well-known/openid-configuration")
    result = sign_in(shop(session, authority), session, [BASKET], ELISA)
    back = "http://localhost:5000/auth/logged-out"
    parameters = {"id_token_hint": result["id_token"], "post_logout_redirect_uri": back}
    response = session.get(
        document["end_session_endpoint"], params=parameters, allow_redirects=False
    )
    assert (response.status_code, response.headers["Location"]) == (302, back)


def test_a_password_is_enough_in_a_user_flow(session: requests.Session) -> None:
    app = shop(session, f"{B2C}/{B2C_DOMAIN}/{FLOW}", instance_discovery=False)
    answer = session.post(
        app.authority.token_endpoint,
        data={
            "grant_type": "password",
            "client_id": SHOP,
            "client_secret": SHOP_SECRET,
            "username": ELISA,
            "password": PASSWORD,
            "scope": f"openid {BASKET}",
        },
    ).json()
    assert answer["scope"] == BASKET
    assert answer["expires_on"] > answer["not_before"]

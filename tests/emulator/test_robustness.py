"""Whatever is sent, the answer is a refusal and never a crash."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyfob_emulator import Emulator, create_app
from keyfob_emulator.managed_identity import PATHS
from keyfob_emulator.sample import FLASK_SITE, FLASK_SITE_SECRET

APP_STATE = Emulator()
APP = create_app(APP_STATE)
NAMES = (
    "client_id client_secret client_assertion client_assertion_type grant_type code redirect_uri "
    "code_verifier refresh_token scope response_type response_mode state nonce prompt login_hint "
    "domain_hint max_age claims code_challenge code_challenge_method client_info assertion "
    "requested_token_use post_logout_redirect_uri id_token_hint logout_hint authorization_endpoint"
).split()
KNOWN = {
    "client_id": FLASK_SITE,
    "client_secret": FLASK_SITE_SECRET,
    "redirect_uri": "http://localhost/auth/callback",
    "response_type": "code",
    "scope": "openid",
}
texts = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        "authorization_code refresh_token client_credentials none 0 O. {} a.b.c http://[ // "
        "/.default urn:ietf:params:oauth:grant-type:jwt-bearer".split()
    ),
)
parameters = st.dictionaries(st.sampled_from(NAMES), texts, max_size=8).map(
    lambda given: {**KNOWN, **given}
)
headers = st.sampled_from(
    [{}, {"Authorization": "Bearer a.b.c"}, {"Authorization": "Basic YQ=="}, {"Cookie": "a=\udcff"}]
)


@pytest.mark.parametrize(
    "path",
    ["oauth2/v2.0/authorize", "oauth2/v2.0/token", "oauth2/v2.0/logout", "discovery/instance"],
)
@settings(max_examples=60, deadline=None)
@given(values=parameters, head=headers, tenant=st.sampled_from(["common", "contoso.example", "x"]))
def test_endpoints_do_not_crash(
    path: str, values: dict[str, str], head: dict[str, str], tenant: str
) -> None:
    place = f"/{'common' if path.endswith('instance') else tenant}/{path}"
    head = {
        name: value.encode("latin-1", "replace").decode("latin-1") for name, value in head.items()
    }
    with APP.test_client() as client:
        for response in (
            client.get(place, query_string=values, headers=head),
            client.post(place, data=values, headers=head),
        ):
            assert response.status_code < 500
            assert "<script>" not in response.get_data(as_text=True)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.sampled_from(["/v1.0/me", "/oidc/userinfo", "/sign-in/", "/"]))
def test_neither_do_the_rest(text: str, path: str) -> None:
    token = text.encode("utf-8").decode("latin-1").replace("\r", "").replace("\n", "")
    with APP.test_client() as client:
        assert client.get(path + "x", headers={"Cookie": token}).status_code < 500
        response = client.get(path, headers={"Authorization": f"Bearer {token}"})
        assert response.status_code < 500


words = st.sampled_from(
    "adfs dstsv2 tfp te common contosob2c.onmicrosoft.com B2C_1_susi v2.0 oauth2 token authorize "
    ".well-known openid-configuration discovery keys metadata identity instance compute arc".split()
)
parts_of_paths = words | st.text(st.characters(exclude_characters="?#", codec="utf-8"), max_size=8)
# Two slashes at the start would be a host to the test client.
places = (
    st.lists(parts_of_paths, max_size=7)
    .map(lambda parts: "/" + "/".join(parts))
    .filter(lambda place: not place.startswith("//"))
)
hosts = st.sampled_from(
    "localhost localhost:80 x.b2clogin.com x.ciamlogin.com [::1 [::1] [ : sts.windows.net".split()
)


@settings(max_examples=150, deadline=None)
@given(places, hosts, st.sampled_from(["", "p=x", "p=b2c_1_susi&p=", "p", "&" * 3000, "%=%&p=%ff"]))
def test_no_address_makes_it_crash(place: str, host: str, query: str) -> None:
    with APP.test_client() as client:
        response = client.get(place, query_string=query, headers={"Host": host})
    assert response.status_code < 500
    if response.status_code == 200 and response.is_json and "issuer" in response.get_json():
        assert host in ("localhost", "localhost:80", "[::1]")


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("api-version resource client_id mi_res_id object_id xms_cc".split()),
        st.text(max_size=30) | st.sampled_from(["2018-02-01", "https://vault.azure.net"]),
    ),
    st.sampled_from(sorted(PATHS.values())),
)
def test_neither_do_the_agents_of_managed_identities(values: dict[str, str], path: str) -> None:
    head = {"Metadata": "true", "Secret": APP_STATE.machine.secret, "Authorization": "Basic x"}
    if "arc" in path:
        return  # has no folder for its keys here
    with APP.test_client() as client:
        for response in (
            client.get(path, query_string=values, headers=head),
            client.post(path, data=values, headers=head),
        ):
            assert response.status_code < 500

"""The index always says what looking at everything would, and no document breaks anything."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from keyfob.cache import SerializableTokenCache
from keyfob.cache.entries import scope_set
from keyfob.errors import TokenCacheError

SECTIONS = ("AccessToken", "RefreshToken", "IdToken", "Account", "AppMetadata")
# Few values, so that things meet; hyphens and both cases, so that different owners share a key.
HOMES = st.sampled_from(["u", "U", "u-h", None])
HOSTS = st.sampled_from(["h", "h-c", "H"])
CLIENTS = st.sampled_from(["c", "C", "c-r"])
REALMS = st.sampled_from(["r", "R", "", None])
SCOPES = st.lists(st.sampled_from(["a", "b", "A"]), max_size=2, unique=True)
TIMES = st.integers(0, 20)


def optional(**fields):
    return st.fixed_dictionaries({}, optional=fields)


ENTRIES = st.builds(
    lambda base, extra: {**base, **extra},
    st.fixed_dictionaries(
        {
            "home_account_id": HOMES,
            "environment": HOSTS,
            "client_id": CLIENTS,
            "realm": REALMS,
            "secret": st.sampled_from(["s1", "s2"]),
            "target": SCOPES.map(" ".join),
            "expires_on": TIMES.map(str),
            "last_modification_time": TIMES.map(str),
        }
    ),
    optional(
        username=st.sampled_from(["n", "N", "m", None, 5]),
        authority_type=st.sampled_from(["MSSTS", "ADFS", "OTHER"]),
        family_id=st.sampled_from(["1", None]),
        ext_cache_key=st.sampled_from(["e", "", None]),
        key_id=st.sampled_from(["k", None]),
        token_type=st.sampled_from(["bearer", "pop", None]),
    ),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.sampled_from(["", "u", "h", "c", "r", "a", "MSSTS", "12", "\ud800", "1e5", "nan"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["", "x", "secret", "target"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def naive_access_token(document, home, host, client, realm, scopes, now, ext, key_id):
    """The secret's rank of the best access token, by looking at each."""
    ranks = []
    for entry in document.get("AccessToken", {}).values():
        same = (
            entry["home_account_id"] == home
            and entry["environment"] == host.lower()
            and entry["client_id"] == client
            and entry["realm"] == realm
            and entry.get("ext_cache_key") == ext
            and entry.get("key_id") == key_id
            and (entry.get("token_type") or "Bearer").lower() == "bearer"
            and int(entry["expires_on"]) > now
        )
        targets = entry["target"].split()
        exact = set(scopes) <= set(targets)
        if same and (exact or {s.lower() for s in scopes} <= {t.lower() for t in targets}):
            ranks.append((exact, int(entry["expires_on"])))
    return max(ranks, default=None)


def naive_accounts(document, hosts, username):
    shown = {}
    for host in hosts:
        last = {}
        for entry in document.get("Account", {}).values():
            known = entry.get("authority_type") in ("MSSTS", "ADFS")
            if entry["environment"] == host.lower() and known:
                last[entry["home_account_id"]] = entry
        for home, entry in last.items():
            name = entry.get("username")
            same = isinstance(name, str) and name.lower() == (username or "").lower()
            if not username or same:
                shown.setdefault(home, (entry["realm"], name))
    return shown


class IndexAgreesWithTheDocument(RuleBasedStateMachine):
    """Random changes; after each, lookups are compared with a scan of what `serialize` shows."""

    @initialize(entries=st.lists(st.tuples(st.sampled_from(SECTIONS), ENTRIES), max_size=8))
    def load(self, entries):
        document = {}
        for number, (section, entry) in enumerate(entries):
            document.setdefault(section, {})[f"foreign-{number}"] = entry
        self.cache = SerializableTokenCache(clock=lambda: 5)
        self.cache.deserialize(json.dumps(document))

    @rule(section=st.sampled_from(SECTIONS), entry=ENTRIES)
    def put(self, section, entry):
        self.cache.modify(section, entry, entry)

    @rule(section=st.sampled_from(SECTIONS), entry=ENTRIES, new=ENTRIES)
    def change(self, section, entry, new):
        self.cache.modify(section, entry, new)

    @rule(section=st.sampled_from(SECTIONS), number=st.integers(0, 9))
    def remove_one_that_is_there(self, section, number):
        entries = list(self.document().get(section, {}).values())
        if entries:
            entry = entries[number % len(entries)]
            self.cache.modify(section, entry)
            assert entries.count(entry) > list(self.document().get(section, {}).values()).count(
                entry
            )

    @rule(number=st.integers(0, 9), secret=st.sampled_from(["n1", "n2"]))
    def update_refresh_token(self, number, secret):
        entries = list(self.document().get("RefreshToken", {}).values())
        if entries:
            self.cache.update_rt(entries[number % len(entries)], secret)

    @rule(
        home=HOMES, host=HOSTS, client=CLIENTS, realm=REALMS, scope=SCOPES, now=TIMES,
        refreshed=st.booleans(), foci=st.booleans(), extended=st.booleans(),
    )  # fmt: skip
    def add(self, home, host, client, realm, scope, now, refreshed, foci, extended):
        response = {"access_token": "AT", "refresh_token": "RT", "expires_in": 3}
        if foci:
            response["foci"] = "1"
        event = {
            "client_id": client, "environment": host, "realm": realm, "scope": scope,
            "home_account_id": home, "response": response, "skip_account_creation": refreshed,
            "data": {"x": "y"} if extended else {},
        }  # fmt: skip
        if not refreshed and home:
            response["id_token_claims"] = {"sub": "ignored", "preferred_username": "n"}
        self.cache.add(event, now=now)
        mine = [
            entry
            for entry in self.document().get("RefreshToken", {}).values()
            if entry["home_account_id"] == home is not None
            and entry["environment"] == host.lower()
            and entry["client_id"] == client
        ]
        assert len(mine) <= 1

    @rule(home=HOMES, host=HOSTS, client=CLIENTS)
    def sign_out(self, home, host, client):
        self.cache.remove_account_everywhere(home, [host], client)
        if home:
            document = self.document()
            for section in ("AccessToken", "IdToken", "Account"):
                for entry in document.get(section, {}).values():
                    assert (entry["home_account_id"], entry["environment"]) != (home, host.lower())

    @rule(now=TIMES)
    def sweep(self, now):
        self.cache.remove_expired(now)
        tokens = self.document().get("AccessToken", {})
        assert all(int(entry["expires_on"]) >= now for entry in tokens.values())

    @rule(like=ENTRIES, twins=st.lists(ENTRIES, max_size=3))
    def put_access_tokens_that_compete(self, like, twins):
        # Left to chance, two tokens would hardly ever serve the same request.
        shared = {
            name: like.get(name)
            for name in ("home_account_id", "environment", "client_id", "realm")
        }
        for twin in (like, *twins):
            self.cache.modify(
                "AccessToken", {**twin, **shared, "target": "a " + twin["target"]}, {"x": 1}
            )
        for scopes in (["a"], ["A"], ["b"]):
            self.look_for_access_token(
                shared["home_account_id"], shared["environment"], shared["client_id"],
                shared["realm"], scopes, 3, None, None,
            )  # fmt: skip

    @rule(
        home=HOMES, host=HOSTS, client=CLIENTS, realm=REALMS, scopes=SCOPES, now=TIMES,
        ext=st.sampled_from([None, "e"]), key_id=st.sampled_from([None, "k"]),
    )  # fmt: skip
    def find_access_token(self, home, host, client, realm, scopes, now, ext, key_id):
        self.look_for_access_token(home, host, client, realm, scopes, now, ext, key_id)

    def look_for_access_token(self, home, host, client, realm, scopes, now, ext, key_id):
        expected = naive_access_token(
            self.document(), home, host, client, realm, scopes, now, ext, key_id
        )
        found = self.cache.find_access_token(
            home_account_id=home, environment=host, client_id=client, realm=realm,
            scopes=scopes, now=now, ext_cache_key=ext, key_id=key_id,
        )  # fmt: skip
        if found is None:
            assert expected is None
        else:
            exact = set(scopes) <= set(found["target"].split())
            assert (exact, int(found["expires_on"])) == expected

    @rule(
        section=st.sampled_from(SECTIONS), scopes=SCOPES,
        query=optional(
            home_account_id=HOMES, environment=HOSTS, client_id=CLIENTS, realm=REALMS,
            ext_cache_key=st.sampled_from(["e", None]), family_id=st.just("1"),
        ),
    )  # fmt: skip
    def search(self, section, scopes, query):
        asked = dict(query)
        if "environment" in asked:
            asked["environment"] = asked["environment"].lower()
        expected = [
            entry
            for entry in self.document().get(section, {}).values()
            if {**entry, **asked} == entry
            and set(scopes) <= scope_set(entry.get("target"))
            and not (
                section == "AccessToken" and "ext_cache_key" in entry
                and "ext_cache_key" not in asked
            )
        ]  # fmt: skip
        assert list(self.cache.search(section, scopes, query, now=0)) == expected

    @rule(home=HOMES, host=HOSTS, client=CLIENTS, family=st.sampled_from([None, "1"]))
    def look_for_refresh_tokens(self, home, host, client, family):
        expected = [
            int(entry["last_modification_time"])
            for entry in self.document().get("RefreshToken", {}).values()
            if entry["home_account_id"] == home
            and entry["environment"] == host.lower()
            and (entry["client_id"] == client or (family and entry.get("family_id") == family))
        ]
        found = self.cache.find_refresh_tokens(
            home_account_id=home, environment=host, client_id=client, family_id=family
        )
        times = [int(entry.get("last_modification_time", "")) for entry in found]
        assert times == sorted(expected, reverse=True)

    @rule(
        hosts=st.lists(HOSTS, max_size=2), username=st.sampled_from([None, "", "n", "N", "m", "x"])
    )
    def look_for_accounts(self, hosts, username):
        found = self.cache.accounts(hosts, username)
        assert {
            entry["home_account_id"]: (entry["realm"], entry["username"]) for entry in found
        } == naive_accounts(self.document(), hosts, username)
        assert len({entry["home_account_id"] for entry in found}) == len(found)

    @invariant()
    def index_is_what_loading_afresh_would_build(self):
        if not hasattr(self, "cache"):
            return
        fresh = SerializableTokenCache()
        fresh.deserialize(json.dumps(self.cache._document.sections))
        assert listed(fresh) == listed(self.cache)

    def document(self):
        return json.loads(json.dumps(self.cache._document.sections))


def listed(cache):
    """The buckets, with their order where it counts."""
    return {
        place: bucket if place[0] == "username" else list(bucket.items())
        for place, bucket in cache._document._buckets.items()
    }


TestIndexAgreesWithTheDocument = IndexAgreesWithTheDocument.TestCase
TestIndexAgreesWithTheDocument.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

FIELDS = (
    "credential_type", "secret", "home_account_id", "environment", "client_id", "target", "realm",
    "token_type", "expires_on", "refresh_on", "cached_at", "ext_cache_key", "key_id", "username",
    "authority_type", "family_id", "last_modification_time",
)  # fmt: skip
HOSTILE_ENTRY = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=len(FIELDS))
PLAUSIBLE_ENTRY = st.builds(
    lambda broken: {
        "home_account_id": "u", "environment": "h", "client_id": "c", "realm": "r",
        "secret": "s", "target": "a", "expires_on": "99", "authority_type": "MSSTS", **broken,
    },
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=2),
)  # fmt: skip
HOSTILE = st.dictionaries(
    st.sampled_from([*SECTIONS, "Unknown"]),
    st.dictionaries(
        st.sampled_from(["", "k", "u-h-accesstoken-c-r-a", "appmetadata-h-c"]),
        PLAUSIBLE_ENTRY | HOSTILE_ENTRY | JSON,
        max_size=4,
    )
    | JSON,
)


@settings(max_examples=300, deadline=None)
@given(HOSTILE | JSON)
def test_a_hostile_document_is_kept_and_breaks_nothing(document):
    text = json.dumps(document)
    cache = SerializableTokenCache(clock=lambda: 5)
    try:
        cache.deserialize(text)
    except TokenCacheError:
        assert not isinstance(document, dict)
        return
    # Texts are compared: not every number is equal to itself.
    assert json.dumps(json.loads(cache.serialize())) == text
    use_everything(cache)
    cache.deserialize(cache.serialize())


def use_everything(cache):
    owner = {"home_account_id": "u", "environment": "h", "client_id": "c"}
    token = cache.find_access_token(**owner, realm="r", scopes=["a"], now=5)
    if token is not None:
        assert token["secret"]
        assert int(token["expires_on"]) > 5
        assert int(token.get("refresh_on", "0")) is not None
    for refresh_token in cache.find_refresh_tokens(**owner, family_id="1"):
        assert refresh_token["secret"]
        cache.update_rt(refresh_token, "new")
    assert isinstance(cache.find_id_token(**owner), str | None)
    for account in cache.accounts(["h"]) + cache.accounts(["h"], "u"):
        assert account["environment"] == "h"
    cache.account("u", "h")
    cache.app_metadata("h", "c")
    repr(cache)
    for section in SECTIONS:
        for query in ({}, owner, {"realm": None}, {"environment": "h"}):
            for entry in cache.search(section, ["a"], query, now=5):
                cache.modify(section, entry)
    claims = {"sub": "u", "preferred_username": "n"}
    response = {"access_token": "A", "refresh_token": "R", "id_token_claims": claims}
    cache.add({**owner, "realm": "r", "scope": ["a"], "response": response}, now=5)
    assert cache.find_access_token(**owner, realm="r", scopes=["a"], now=5)
    cache.remove_expired(10**6)
    cache.remove_account_everywhere("u", ["h"], "c")
    assert cache.account("u", "h") is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_loads_or_is_refused(text):
    cache = SerializableTokenCache()
    try:
        cache.deserialize(text)
    except TokenCacheError:
        assert cache.serialize() == "{}"
    cache.serialize()


ANYTHING = optional(
    client_id=JSON, scope=JSON, token_endpoint=JSON, environment=JSON, realm=JSON,
    home_account_id=JSON, grant_type=JSON, data=JSON, username=JSON,
    skip_account_creation=st.booleans(),
    response=optional(
        access_token=JSON, refresh_token=JSON, id_token=JSON, client_info=JSON, expires_in=JSON,
        id_token_claims=JSON, foci=JSON, refresh_in=JSON, expires_on=JSON, token_type=JSON,
    ) | JSON,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(ANYTHING)
def test_any_event_is_filed_or_refused(event):
    cache = SerializableTokenCache()
    try:
        cache.add(event, now=5)
    except ValueError:
        assert cache.serialize() == "{}"
    cache.deserialize(cache.serialize())

"""What is known of a provider: its metadata and keys, fetched when needed and kept for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from keyfob.errors import AccessTokenError, IdTokenError, LogoutTokenError, TransportError
from keyfob.flows import Flow, once, send
from keyfob.flows.region import Region, regional_metadata
from keyfob.protocol import access_token, logout_token
from keyfob.protocol.access_token import AccessExpectations, ProvenAccess
from keyfob.protocol.authority import Authority, microsoft_authority
from keyfob.protocol.id_token import (
    Expectations,
    judge_claims,
    read_id_token,
    verify_signature,
)
from keyfob.protocol.instance_discovery import (
    Instance,
    build_instance_request,
    discovery_endpoint,
    is_to_be_asked_about,
    parse_instance,
)
from keyfob.protocol.keys import KeySet, build_key_set_request, parse_key_set
from keyfob.protocol.logout_token import LogoutExpectations, LogoutOrder
from keyfob.protocol.metadata import ProviderMetadata, build_metadata_request, parse_metadata
from keyfob.protocol.region import RegionChoice

#: Seconds. Providers change their metadata rarely and announce it nowhere.
METADATA_MAX_AGE = 24 * 3600
#: Seconds since they were fetched in which old metadata serve while the provider cannot be reached.
METADATA_GRACE = 7 * 24 * 3600
#: Seconds after such a failure in which they are not fetched again.
METADATA_RETRY = 30.0
#: Seconds. A withdrawn key is believed no longer than this.
KEYS_MAX_AGE = 24 * 3600
#: Refetches of the keys for a token that none of them fits: so many at once ...
REFETCH_BURST = 5
#: ... and one more each so many seconds. It bounds what forged tokens make us ask.
REFETCH_INTERVAL = 10.0

_Signed = TypeVar("_Signed")

_MAY_BE_CURED_BY_NEW_KEYS = frozenset({"unknown_key", "signature"})


@dataclass(frozen=True)
class _Fetched:
    value: Any
    at: float
    url: str


class Provider:
    """Program life: one authority with what was fetched of it. Safe to share between threads.

    Nothing is fetched before a flow needs it. A failure is not remembered, and the next flow tries
    again; but metadata that were there already go on to serve for a while.

    :param instance_discovery: whether Microsoft is asked about a host that is in none of its known
        clouds, before anything else is; or the address to ask instead.
    :param region: where the application's own tokens come from; by default the central endpoint.
    :raises ConfigurationError: `instance_discovery` is nothing of that.
    """

    def __init__(
        self,
        authority: Authority,
        *,
        instance_discovery: bool | str = True,
        region: Region | None = None,
        metadata_max_age: float = METADATA_MAX_AGE,
        keys_max_age: float = KEYS_MAX_AGE,
    ) -> None:
        self.authority = authority
        self.region = Region(RegionChoice(), {}) if region is None else region
        endpoint = discovery_endpoint(instance_discovery)
        #: Where to ask about the host, or None where nobody is to be asked.
        self._instance_endpoint = (
            endpoint if endpoint and is_to_be_asked_about(authority, endpoint) else None
        )
        self._instance: Instance | None = None
        self._metadata_max_age = metadata_max_age
        self._keys_max_age = keys_max_age
        self._metadata: _Fetched | None = None
        #: When old metadata could not be fetched anew, or None.
        self._metadata_failed_at: float | None = None
        self._keys: _Fetched | None = None
        self._lock = threading.Lock()
        self._refetches = float(REFETCH_BURST)
        self._refetches_counted_at = 0.0

    def __repr__(self) -> str:
        return f"<Provider {self.authority.url}>"

    def in_tenant(self, tenant: str) -> Provider:
        """Another tenant of the same host. What was fetched of this one is not of that one.

        :raises ConfigurationError: it is no tenant's id or domain.
        """
        return Provider(
            microsoft_authority(f"{self.authority.origin}/{tenant}"),
            instance_discovery=self._instance_endpoint or False,
            region=self.region,
            metadata_max_age=self._metadata_max_age,
            keys_max_age=self._keys_max_age,
        )

    @property
    def aliases(self) -> tuple[str, ...]:
        """The environments whose tokens are this provider's too, as far as is known; never from
        the network. The authority's own is the first."""
        return self.authority.aliases if self._instance is None else self._instance.aliases

    def known_metadata(self, now: float) -> ProviderMetadata | None:
        """The metadata, if it is at hand and fresh."""
        held = self._metadata
        if held is not None and 0 <= now - held.at < self._metadata_max_age:
            metadata: ProviderMetadata = held.value
            return metadata
        return None

    @property
    def last_metadata(self) -> ProviderMetadata | None:
        """What was fetched last, however long ago."""
        held = self._metadata
        return None if held is None else held.value

    def metadata(self, now: float) -> Flow[ProviderMetadata]:
        """The metadata, fetched where those at hand are older than they may be.

        Where the provider cannot be reached, the old ones serve up to METADATA_GRACE, and it is
        not asked again for METADATA_RETRY. A document that is wrong is not passed over so. A host
        that instance discovery is to vouch for gets no request before it does.

        :raises MetadataError: the provider answered, and not with its metadata.
        :raises TransportError: it cannot be reached, and no metadata are at hand that may serve.
        """
        known = self.known_metadata(now)
        if known is not None:
            return known
        stale = self._stale_metadata(now)
        failed_at = self._metadata_failed_at
        if stale is not None and failed_at is not None and 0 <= now - failed_at < METADATA_RETRY:
            return stale
        return (yield from once(("metadata", id(self)), lambda: self._fetch_metadata(now, stale)))

    def _fetch_metadata(self, now: float, stale: ProviderMetadata | None) -> Flow[ProviderMetadata]:
        known = self.known_metadata(now)
        if known is not None:
            return known  # somebody else fetched them a moment ago
        try:
            instance = yield from self._vouched_for()
            url = instance.metadata_url if instance else self.authority.metadata_url
            response = yield from send(build_metadata_request(self.authority, url))
            metadata = parse_metadata(self.authority, response, self.aliases)
        except TransportError:
            if stale is None:
                raise
            self._metadata_failed_at = now
            return stale
        self._metadata = _Fetched(metadata, now, url)
        self._metadata_failed_at = None
        return metadata

    def _stale_metadata(self, now: float) -> ProviderMetadata | None:
        held = self._metadata
        return held.value if held is not None and 0 <= now - held.at < METADATA_GRACE else None

    def _vouched_for(self) -> Flow[Instance | None]:
        """What instance discovery says of the host; None where it is not to be asked.

        A host that it vouched for stays so: the answer is asked for once.
        """
        endpoint = self._instance_endpoint
        if endpoint is not None and self._instance is None:
            response = yield from send(build_instance_request(self.authority, endpoint))
            self._instance = parse_instance(self.authority, response)
        return self._instance

    def regional_metadata(self, now: float) -> Flow[ProviderMetadata]:
        """The metadata by which to ask for a token in the application's own name: of them, the
        token endpoint is that of the application's region, where it has one.

        :raises MetadataError: as `metadata` does, and TransportError.
        """
        central = yield from self.metadata(now)
        return (yield from regional_metadata(self.region, self.authority, central, now))

    def verified_claims(self, token: object, expected: Expectations) -> Flow[dict[str, Any]]:
        """Judge an ID token completely (OpenID Connect Core §3.1.3.7).

        A token that no key fits may be signed by a key from a second ago: the keys are then
        fetched once more, if they have not been too often.

        :raises IdTokenError: it proves nothing.
        """
        unverified, about = read_id_token(token), expected.metadata
        signed = yield from self._signed(
            lambda keys: verify_signature(unverified, keys, about.signing_algorithms),
            about,
            expected.now,
        )
        return judge_claims(signed, expected)

    def verified_logout(self, token: object, expected: LogoutExpectations) -> Flow[LogoutOrder]:
        """Judge a logout token completely (OpenID Connect Back-Channel Logout 1.0 §2.6), but for
        whether it came before.

        Anybody may send one. The keys are fetched again for one that no key fits as for an ID
        token, and no more often.

        :raises LogoutTokenError: it ends no session.
        """
        unverified, about = logout_token.read_logout_token(token), expected.metadata
        signed = yield from self._signed(
            lambda keys: logout_token.verify_signature(unverified, keys, about.signing_algorithms),
            about,
            expected.now,
        )
        return logout_token.judge_logout(signed, expected)

    def verified_access(self, token: object, expected: AccessExpectations) -> Flow[ProvenAccess]:
        """Judge an access token for a web API of ours completely (RFC 9068 §4).

        Anybody may send one. The keys are fetched again for one that no key fits as for an ID
        token, and no more often.

        :raises AccessTokenError: it opens nothing.
        """
        unverified, about = access_token.read_access_token(token), expected.metadata
        signed = yield from self._signed(
            lambda keys: access_token.verify_signature(unverified, keys, about.signing_algorithms),
            about,
            expected.now,
        )
        return access_token.judge_access(signed, expected)

    def access_at_hand(self, token: object, expected: AccessExpectations) -> ProvenAccess | None:
        """The same without a flow, where the keys are at hand and one of them fits; else None."""
        keys = self._known_keys(expected.metadata, expected.now)
        if keys is None:
            return None
        unverified = access_token.read_access_token(token)
        try:
            signed = access_token.verify_signature(
                unverified, keys, expected.metadata.signing_algorithms
            )
        except AccessTokenError as error:
            if error.code in _MAY_BE_CURED_BY_NEW_KEYS:
                return None
            raise
        return access_token.judge_access(signed, expected)

    @property
    def last_keys(self) -> KeySet | None:
        """The signing keys that were fetched last."""
        held = self._keys
        return None if held is None else held.value

    def _signed(
        self, verify: Callable[[KeySet], _Signed], metadata: ProviderMetadata, now: float
    ) -> Flow[_Signed]:
        keys = yield from self._signing_keys(metadata, now)
        try:
            return verify(keys)
        except (IdTokenError, LogoutTokenError, AccessTokenError) as error:
            if error.code not in _MAY_BE_CURED_BY_NEW_KEYS or not self._may_refetch(now):
                raise
        newer = yield from self._fetch_keys(metadata, now)
        return verify(newer)

    def _signing_keys(self, metadata: ProviderMetadata, now: float) -> Flow[KeySet]:
        known = self._known_keys(metadata, now)
        return known if known is not None else (yield from self._fetch_keys(metadata, now))

    def _known_keys(self, metadata: ProviderMetadata, now: float) -> KeySet | None:
        held = self._keys
        # Keys from an address that the metadata no longer names prove nothing any more.
        if (
            held is not None
            and held.url == metadata.jwks_uri
            and 0 <= now - held.at < self._keys_max_age
        ):
            keys: KeySet = held.value
            return keys
        return None

    def _fetch_keys(self, metadata: ProviderMetadata, now: float) -> Flow[KeySet]:
        url = metadata.jwks_uri
        return (yield from once(("keys", id(self), url), lambda: self._fetch_keys_of(url, now)))

    def _fetch_keys_of(self, url: str, now: float) -> Flow[KeySet]:
        response = yield from send(build_key_set_request(url))
        keys = parse_key_set(response)
        self._keys = _Fetched(keys, now, url)
        return keys

    def _may_refetch(self, now: float) -> bool:
        with self._lock:
            gained = max(0.0, now - self._refetches_counted_at) / REFETCH_INTERVAL
            self._refetches = min(float(REFETCH_BURST), self._refetches + gained)
            self._refetches_counted_at = now
            if self._refetches < 1:
                return False
            self._refetches -= 1
            return True

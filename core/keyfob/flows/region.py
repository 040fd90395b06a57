"""Where an application's own tokens come from: the central endpoint, or its region's."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from keyfob.errors import KeyfobError
from keyfob.flows import Flow, send
from keyfob.protocol.authority import Authority
from keyfob.protocol.metadata import ProviderMetadata
from keyfob.protocol.region import (
    REGION_NAME,
    RegionChoice,
    at_region,
    build_imds_request,
    parse_imds,
    usable_region,
)

logger = logging.getLogger(__name__)

#: Seconds after which a machine that gave no region is asked once more.
DETECTION_RETRY = 3600.0


@dataclass(frozen=True)
class _Detected:
    name: str | None
    at: float


class Region:
    """Program life: an application's region, detected once where it is to be detected.

    :param choice: what the application said.
    :param environ: the process's environment, where a container is told its region.
    """

    def __init__(self, choice: RegionChoice, environ: Mapping[str, str]) -> None:
        self.choice = choice
        self._environ = environ
        self._detected: _Detected | None = None

    def __repr__(self) -> str:
        return f"<Region {self.choice}>"

    def name(self, now: float) -> Flow[str | None]:
        """The region's name, or None for the central endpoint.

        Nothing is asked of the network for a region that was named. Whatever goes wrong where it
        is to be detected means none, until DETECTION_RETRY has passed.
        """
        if not self.choice.detect:
            return self.choice.name
        known = self._detected
        if known is not None and (known.name or 0 <= now - known.at < DETECTION_RETRY):
            return known.name
        found = yield from self._detect()
        self._detected = _Detected(found, now)
        return found

    def _detect(self) -> Flow[str | None]:
        if told := self._environ.get(REGION_NAME):
            if usable_region(told) is None:
                logger.warning("The environment's %s is no region's name", REGION_NAME)
            return usable_region(told)
        try:
            return parse_imds((yield from send(build_imds_request())))
        except KeyfobError as error:
            logger.info("This machine does not say its region (%s)", error.code)
            return None


def regional_metadata(
    region: Region, authority: Authority, metadata: ProviderMetadata, now: float
) -> Flow[ProviderMetadata]:
    """The metadata by which to ask for a token in the application's own name.

    Of these only `token_endpoint` is the region's. What signs a client assertion goes on to name
    the central endpoint as its audience, and what is cached stays under the central host.
    """
    name = yield from region.name(now)
    return metadata if name is None else at_region(authority, metadata, name)

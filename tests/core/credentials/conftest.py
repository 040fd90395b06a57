"""A client with credentials, at a provider that judges them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.client_keys import AssertionJudge
from support.credentials import Build, clients, judged
from support.provider import Provider
from support.sign_in import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def entra() -> Iterator[Provider]:
    with Provider(entra=True) as started:
        yield started


@pytest.fixture
def judge(entra: Provider, clock: Clock) -> AssertionJudge:
    return judged(entra, clock)


@pytest.fixture
def build(entra: Provider, clock: Clock) -> Iterator[Build]:
    with clients(entra, clock) as found:
        yield found

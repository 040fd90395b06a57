"""What a scenario is made of: calls of MSAL's verbs, and what happens between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from side_by_side.sides import Run

#: An argument that is known only while the scenario runs.
Later = Callable[["Run"], Any]


@dataclass(frozen=True)
class App:
    """From now on the verbs are those of this application, with the run's token cache."""

    kind: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """One verb. Arguments that are functions are given the run, and give the argument.

    :param expect: what MSAL does here: `token`, `flow`, `list`, `nothing`, `url`; the name of an
        error that is returned; or the name of an exception.
    """

    verb: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    expect: str = "token"


@dataclass(frozen=True)
class Browser:
    """The person goes where the last flow's address leads, and signs in, or declines."""

    username: str
    declines: bool = False


@dataclass(frozen=True)
class Wait:
    """So many seconds pass."""

    seconds: float


@dataclass(frozen=True)
class Provider:
    """Something happens at the provider."""

    do: Callable[[Run], object]


Step = App | Call | Browser | Wait | Provider


def call(verb: str, expect: str = "token", **arguments: Any) -> Call:
    return Call(verb, arguments, expect)


@dataclass(frozen=True, eq=False)
class Scenario:
    """A story that both libraries live through.

    :param needs: what the local identity provider must offer beside the common, by the names in
        `side_by_side.abilities`.
    """

    name: str
    steps: tuple[Step, ...]
    needs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def calls(self) -> list[Call]:
        return [step for step in self.steps if isinstance(step, Call)]

    @property
    def apps(self) -> list[App]:
        return [step for step in self.steps if isinstance(step, App)]

"""What Keyfob and the local identity provider can do yet, computed: rows switch on alone."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
from typing import Any

from keyfob_emulator import Account, Application, Emulator, sample
from side_by_side import certificates
from side_by_side.sides import Run, application, world
from side_by_side.steps import Scenario

_TENANT = f"https://login.microsoftonline.com/{sample.CONTOSO}"


@functools.cache
def provider_lacks(need: str) -> str | None:
    """Why the provider cannot serve this need, or None where it can.

    `grant:NAME`, `at:URL` (metadata of an authority), `field:NAME` (of an application),
    `emulator:NAME` (a knob), `person:NAME`, `module:NAME`,
    `assertion:x5c` (a certificate in its header).
    """
    kind, _, name = need.partition(":")
    if kind == "field":
        found = name in {*Application.__dataclass_fields__, *Account.__dataclass_fields__}
    elif kind == "person":
        found = Emulator().directory.account(name) is not None
    elif kind == "module":
        found = importlib.util.find_spec(f"keyfob_emulator.{name}") is not None
    elif kind == "emulator":
        found = hasattr(Emulator(), name) or hasattr(Emulator().lifetimes, name)
    else:
        with world("msal") as run:
            found = _answers(run, kind, name)
    return None if found else f"the local identity provider has no {need} yet"


def _answers(run: Run, kind: str, name: str) -> bool:
    if kind == "at":
        try:
            return run.recorder.get(name).status_code == 200
        except OSError:  # No such host is mounted, and there is no network.
            return False
    if kind == "assertion":
        return _takes_a_chain(run)
    data = {"grant_type": name, "client_id": sample.DESKTOP_TOOL}
    answer = run.recorder.post(f"{_TENANT}/oauth2/v2.0/token", data=data).json()
    return "AADSTS70003" not in answer.get("error_description", "")


def _takes_a_chain(run: Run) -> bool:
    form = {
        "grant_type": "client_credentials",
        "client_id": sample.FLASK_SITE,
        "scope": "https://graph.microsoft.com/.default",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": certificates.assertion("anybody", x5c=[certificates.x5c()]),
    }
    answer = run.recorder.post(f"{_TENANT}/oauth2/v2.0/token", data=form).json()
    return "not a signed JWT" not in answer["error_description"]


def keyfob_lacks(scenario: Scenario) -> str | None:
    """Which class, verb or parameter of the scenario Keyfob has not yet, or None."""
    keyfob = importlib.import_module("keyfob")
    for app in scenario.apps:
        cls = getattr(keyfob, app.kind, None)
        if cls is None:
            return f"keyfob has no {app.kind} yet"
        missing = _missing(cls.__init__, app.arguments)
        if missing:
            return f"{app.kind} has no parameter {missing} yet"
        for call in scenario.calls:
            verb = getattr(cls, call.verb, None)
            if verb is None and not _elsewhere(scenario, call.verb):
                return f"{app.kind} has no {call.verb} yet"
            missing = _missing(verb, call.arguments) if verb is not None else None
            if missing:
                return f"{call.verb} has no parameter {missing} yet"
    return _refused(scenario)


def _elsewhere(scenario: Scenario, verb: str) -> bool:
    """Whether another application of the scenario has the verb."""
    keyfob = importlib.import_module("keyfob")
    return any(hasattr(getattr(keyfob, app.kind, None), verb) for app in scenario.apps)


def _missing(function: Any, arguments: Any) -> str | None:
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    known = {parameter.name for parameter in parameters}
    return next((name for name in arguments if name not in known), None)


def _refused(scenario: Scenario) -> str | None:
    """What a constructor says of itself that it cannot take in this version."""
    with world("keyfob") as run:
        for app in scenario.apps:
            try:
                application(run, app)
            except ValueError as error:
                if "not in this version" in str(error):
                    return str(error)
    return None


@functools.cache
def pending(scenario: Scenario) -> str | None:
    """Why the scenario cannot be lived through yet, or None."""
    for need in scenario.needs:
        if reason := provider_lacks(need):
            return reason
    return keyfob_lacks(scenario)

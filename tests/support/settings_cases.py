"""Settings to begin from, and what is said about those that are wrong."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from keyfob.errors import ConfigurationError
from keyfob.web.settings import Settings, load_settings

TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
OTHER_TENANT = "bbbbbbbb-0000-4000-8000-000000000002"
SECRET = "Abc8Q~a-real-secret"
BASIC = {"CLIENT_ID": "app", "CLIENT_SECRET": SECRET, "TENANT_ID": TENANT}
LONG_KEY = "k" * 43


def load(
    environ: Mapping[str, str] | None = None, /, source: str = "flask", **explicit: object
) -> Settings:
    return load_settings({**BASIC, **explicit}, environ or {}, source=source)


def refused(
    explicit: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
    source: str = "flask",
) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(explicit, environ or {}, source=source)
    return caught.value


def refused_with(environ: Mapping[str, str] | None = None, /, **explicit: object) -> str:
    """The one line that is said about one wrong setting beside good ones."""
    error = refused({**BASIC, **explicit}, environ)
    assert "\n" not in str(error)
    if explicit:
        assert error.setting in explicit
    return str(error)


def without(*keys: str) -> dict[str, object]:
    return {key: value for key, value in BASIC.items() if key not in keys}

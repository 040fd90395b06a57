"""The setting AUTHORITIES: further parties who sign people in, beside the site's own."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from keyfob.web import settings_values as values
from keyfob.web.settings_values import Reader

_KEY = "AUTHORITIES"
#: It stands in addresses, and redirect URIs are compared letter by letter.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


def named_authorities(reader: Reader, known: Collection[str]) -> Iterator[tuple[str, Reader]]:
    """Each authority's name, and a reader of its settings.

    :param known: the settings that one may have.
    """
    found = reader.find(_KEY)
    if found is None:
        return
    entries: Mapping[object, object] = {}
    entries = reader.converted(found, values.mapping, entries)
    for name, value in entries.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            reader.problem(
                _KEY,
                f"has {values.shown(name)} for the name of an authority: it begins with a small "
                "letter and has small letters, digits or '-', for it stands in addresses",
                in_environ=found.in_environ,
            )
        elif not isinstance(value, Mapping):
            reader.problem(
                _KEY,
                f"[{name!r}] must be a mapping with 'CLIENT_ID', 'CLIENT_SECRET' and 'TENANT_ID', "
                "'AUTHORITY' or 'OIDC_AUTHORITY'",
                in_environ=found.in_environ,
            )
        else:
            nested = reader.within(_KEY, name, {str(key): each for key, each in value.items()})
            nested.check_names(known)
            yield name, nested

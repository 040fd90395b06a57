"""Reading settings: where a value comes from, what it is called there, and what it must look like.

The converters take a value as it was found and give it back in its one shape, or raise UnfitValue.
No text of such an error holds a secret.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, TypeVar

from keyfob.errors import ConfigurationError
from keyfob.protocol.urls import origin, parse_secure_url

T = TypeVar("T")
D = TypeVar("D")

PREFIX = "KEYFOB_"
#: Keyfob's own test suite is steered by these; they are no settings.
_TEST_PREFIX = "TEST_"
# Kubernetes and Docker tell every container of a service called "keyfob" or "keyfob-..." where it
# is, in variables of these names. Nobody set them by hand, so nobody mistyped them.
_SERVICE_LINK = re.compile(
    r"(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?)"
)
# What documentation has where a value belongs.
_PLACEHOLDER = re.compile(
    r"""
    \.{2,} | …+ | <[^<>]*> | \{\{.*\}\} | \$?\{[\w .-]*\} | \$\(\w*\)
    | x{4,}(?:-x{4,})*
    | your[-_ ](?:[a-z0-9]+[-_ ])*(?:id|key|secret|tenant|domain|name|value|here|password)
    | enter[-_ ]\w*(?:here|id|secret)
    | change[-_ ]?me | replace[-_ ]?me | todo
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SEPARATORS = re.compile(r"[\s,]+")
# Names that other libraries have for ours, where the spelling is too far off to be found by it.
_OTHER_NAMES = {
    "APPLICATION_ID": "CLIENT_ID",
    "APP_ID": "CLIENT_ID",
    "SECRET": "CLIENT_SECRET",
    "TENANT": "TENANT_ID",
    "DOMAIN": "TENANT_ID",
    "ISSUER": "OIDC_AUTHORITY",
    "REDIRECT_URI": "BASE_URL",
    "PUBLIC_URL": "BASE_URL",
    "CLOCK_SKEW": "LEEWAY",
    "APIS": "DOWNSTREAM_APIS",
}


class UnfitValue(ValueError):
    """A value that a setting cannot have. Its text goes on where the setting's name ended."""


class Found(NamedTuple):
    """A setting's value, and whether it came from the environment."""

    key: str
    value: object
    in_environ: bool

    def __repr__(self) -> str:
        return f"Found({self.key!r}, in_environ={self.in_environ})"


class Reader:
    """Finds settings in the framework's values and the environment, and collects what is wrong.

    :param explicit: the framework's values, by upper-case key.
    :param environ: the environment.
    :param source: whose values they are: 'flask', 'django', or another name for messages.
    """

    def __init__(
        self, explicit: Mapping[str, object], environ: Mapping[str, str], source: str
    ) -> None:
        self._explicit = explicit
        self._environ = environ
        self._source = source
        #: What a nested reader's settings are within, such as `KEYFOB["AUTHORITIES"]["staff"]`.
        self._within = ""
        self._problems: list[tuple[str, str]] = []

    def __repr__(self) -> str:
        return f"<Reader for {self._source!r}: {len(self._problems)} problems>"

    def within(self, key: str, name: str, explicit: Mapping[str, object]) -> Reader:
        """A reader of settings that `key` holds under `name`, which only stand there. Problems are
        collected in one place."""
        nested = Reader(explicit, {}, self._source)
        nested._within = f'{self._explicit_name(key)}["{name}"]'
        nested._problems = self._problems
        return nested

    def name(self, key: str, *, in_environ: bool = False) -> str:
        """What `key` is called where it was set, and where else it may be set."""
        explicit = self._explicit_name(key)
        if self._within:
            return explicit
        if in_environ:
            return f"{PREFIX}{key} in the environment (or {explicit})"
        return f"{explicit} (or {PREFIX}{key} in the environment)"

    def _explicit_name(self, key: str) -> str:
        if self._within:
            return f'{self._within}["{key}"]'
        if self._source == "flask":
            return f'app.config["{PREFIX}{key}"]'
        return f'KEYFOB["{key}"]' if self._source == "django" else f'{self._source}["{key}"]'

    def problem(self, key: str, what: str, *, in_environ: bool = False) -> None:
        """Remember that `key` is wrong. `what` goes on where its name ended."""
        space = "" if what.startswith("[") else " "
        line = f"{self.name(key, in_environ=in_environ)}{space}{what}"
        # A value from outside must not look like another problem.
        self._problems.append((key, " ".join(line.splitlines())))

    def find(self, key: str) -> Found | None:
        """The value of `key`: the framework's, or else the environment's. Empty is missing."""
        value = self._explicit.get(key, "")
        if not is_empty(value):
            return Found(key, value, in_environ=False)
        value = self._environ.get(PREFIX + key, "")
        return None if is_empty(value) else Found(key, value, in_environ=True)

    def find_empty(self, key: str) -> Found | None:
        """`key` where it is set, and set to nothing."""
        if key in self._explicit:
            return Found(key, "", in_environ=False) if is_empty(self._explicit[key]) else None
        return Found(key, "", in_environ=True) if PREFIX + key in self._environ else None

    def find_one_of(self, keys: Collection[str]) -> Found | None:
        """The one that is set of `keys`, which exclude each other.

        They are one choice: where the framework's values make it, the environment is not asked.
        Two in the same place contradict each other.
        """
        for values, prefix in ((self._explicit, ""), (self._environ, PREFIX)):
            named = [key for key in keys if not is_empty(values.get(prefix + key, ""))]
            if named:
                in_environ = bool(prefix)
                for other in named[1:]:
                    self.problem(
                        other,
                        f"contradicts {self.name(named[0], in_environ=in_environ)}: "
                        "set one of them, not both",
                        in_environ=in_environ,
                    )
                return Found(named[0], values[prefix + named[0]], in_environ)
        return None

    def read(self, key: str, convert: Callable[[object], T], default: D) -> T | D:
        """The value of `key` in its proper shape; `default` when it is missing or wrong."""
        found = self.find(key)
        return default if found is None else self.converted(found, convert, default)

    def converted(self, found: Found, convert: Callable[[object], T], default: D) -> T | D:
        """`found` in its proper shape; `default`, and a problem more, when it is wrong."""
        try:
            return convert(found.value)
        except ValueError as error:
            # Those from elsewhere begin with the bare key; here it is called by its full name.
            what = str(error).removeprefix(f"{found.key} ")
            self.problem(found.key, what, in_environ=found.in_environ)
            return default

    def check_names(self, known: Collection[str]) -> None:
        """Complain about every name that is no setting, in both places."""
        for key in self._explicit:
            if key not in known:
                self._unknown(str(key), known, in_environ=False)
        for variable in self._environ:
            key = variable.removeprefix(PREFIX)
            if key == variable or key in known or key.startswith(_TEST_PREFIX):
                continue
            if not _SERVICE_LINK.fullmatch(key):
                self._unknown(key, known, in_environ=True)

    def raise_problems(self) -> None:
        """Raise one ConfigurationError about everything that is wrong, if anything is."""
        if not self._problems:
            return
        lines = [line for _, line in self._problems]
        if len(lines) > 1:
            lines.insert(0, f"{len(lines)} of Keyfob's settings need attention:")
        raise ConfigurationError("\n- ".join(lines), setting=self._problems[0][0])

    def _unknown(self, key: str, known: Collection[str], *, in_environ: bool) -> None:
        plain = key.upper().replace("-", "_").removeprefix(PREFIX)
        near = _OTHER_NAMES.get(plain) or nearest(plain, known)
        hint = f"; did you mean {near}?" if near else ". The known ones are in docs/settings.md"
        self.problem(key, f"is not a setting{hint}", in_environ=in_environ)


def is_empty(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def nearest(name: str, known: Collection[str]) -> str:
    """The one of `known` that `name` was probably meant to be, or ""."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), "")


def shown(value: object) -> str:
    """`value` for a message, short and on one line. Not for secrets."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def text(value: object) -> str:
    """An id, a name or an address: white space around it is dropped."""
    plain = _as_text(value).strip()
    if _is_placeholder(plain):
        raise UnfitValue(f"still is the placeholder {shown(plain)}; put the real value there")
    if _CONTROL.search(plain):
        raise UnfitValue("has a line break or a control character in it; remove it")
    return plain


def secret(value: object) -> str:
    """A secret, exactly as it is; nothing of it is ever shown."""
    plain = _as_text(value)
    if plain != plain.strip():
        raise UnfitValue(
            "begins or ends with white space or a line break, as copied secrets often do; "
            "remove it (a secret is never trimmed for you)"
        )
    if _is_placeholder(plain):
        raise UnfitValue("still is a placeholder; put the real secret there")
    if _CONTROL.search(plain):
        raise UnfitValue("has a line break or a control character in it; copy the secret again")
    return plain


def items(value: object, convert: Callable[[object], str] = text) -> tuple[str, ...]:
    """Texts: a list, a JSON list, or a text with commas or white space between them."""
    if isinstance(value, str):
        found: Iterable[object] = (
            _json_list(value)
            if _looks_like_json_list(value)
            else (_SEPARATORS.split(value.strip(" \t\r\n,")))
        )
    elif isinstance(value, (set, frozenset)):
        found = sorted(value, key=str)
    elif isinstance(value, (list, tuple)):
        found = value
    elif isinstance(value, int) and not isinstance(value, bool):
        found = (value,)
    else:
        raise UnfitValue(f"must be a list of texts, or one text, and is {_kind(value)}")
    converted = [convert(item) for item in found]
    if not all(converted):
        raise UnfitValue("has an empty text in its list")
    return tuple(dict.fromkeys(converted))


def whole_number(value: object, *, least: int, most: int, unit: str) -> int:
    """A whole number between two bounds, both allowed."""
    wanted = f"must be a whole number of {unit} from {least} to {most}"
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,9}\s*", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnfitValue(f"{wanted}, and is {_kind(value)}")
    if not least <= value <= most:
        raise UnfitValue(f"{wanted}, and is {shown(value)}")
    return value


def mapping(value: object) -> Mapping[object, object]:
    """A mapping, or the JSON text of one."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise UnfitValue(
                "is a text, and not the JSON of an object; look for quotes and commas"
            ) from None
    if not isinstance(value, Mapping):
        raise UnfitValue(
            f"must be a mapping (in the environment a JSON object), not {_kind(value)}"
        )
    return value


def one_of(value: object, allowed: Collection[str]) -> str:
    plain = text(value)
    if plain in allowed:
        return plain
    near = nearest(plain.lower(), allowed)
    hint = f"; did you mean {near!r}?" if near else f"; it is one of {', '.join(sorted(allowed))}"
    raise UnfitValue(f"is {shown(plain)}{hint}")


def address(value: object) -> str:
    """An https address (http on this machine) without query, fragment or trailing slash."""
    plain = any_address(value)
    try:
        parts = parse_secure_url(plain)
    except ValueError as error:
        raise UnfitValue(f"{shown(plain)} {error}") from None
    if "?" in plain or "#" in plain:
        raise UnfitValue("has a query or a fragment ('?' or '#'); leave it off")
    return f"{origin(parts)}{parts.path.rstrip('/')}"


def any_address(value: object) -> str:
    """An address that somebody else will check. Never one with a password, which would be shown."""
    plain = text(value)
    segments = re.split(r"[/?#]+", plain)
    if re.search(r"<[^<>]*>|\{[^{}]*\}", plain) or any(map(_is_placeholder, segments)):
        raise UnfitValue(f"still has a placeholder in it: {shown(plain)}")
    # Found without trust in its shape: whoever checks it later shows it in the message.
    if "@" in re.split(r"[/?#]", re.sub(r"^\w*:?[/\\]*", "", plain), maxsplit=1)[0]:
        raise UnfitValue("has a user name in it ('@'); leave it off")
    return plain


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        raise UnfitValue(
            "is None; leave the key out to get the default (if the value comes from os.environ, "
            "that variable is not set)"
        )
    # Flask's from_prefixed_env() reads JSON, so that an id or a secret of digits arrives as a
    # number. Nothing is lost with it: JSON allows no leading zeros.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise UnfitValue(
        f"must be a text, and is {_kind(value)}; put it in quotes "
        "(in an environment variable that is read as JSON: '\"...\"')"
    )


def _is_placeholder(plain: str) -> bool:
    return bool(_PLACEHOLDER.fullmatch(plain))


def _looks_like_json_list(value: str) -> bool:
    return value.lstrip().startswith("[")


def _json_list(value: str) -> list[object]:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        raise UnfitValue(
            "begins with '[' and is not a JSON list; look for quotes and commas"
        ) from None
    return list(found)


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"

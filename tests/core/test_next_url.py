"""Which addresses a browser may be sent on to."""

from __future__ import annotations

import re
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keyfob.web.next_url import MAX_LENGTH, local_path, same_site_path

SITE = "https://site.example"
REFUSED = "/refused"

HONEST = [
    "/",
    "/me",
    "/me/",
    "/a/b/c.html",
    "/a//b",
    "/search?q=1&r=2#part",
    "/search?u=https%3A%2F%2Fx",
    "/search?u=https://other.example/",
    "/search?u=//other.example",
    "/search?next=%2F%2Fevil.example",
    "/search?text=line%0D%0Abreak%09tab%5C",
    "/a?",
    "/a#",
    "/#//evil.example",
    "/?//evil.example",
    "/my%20file",
    "/100%25",
    "/50%",
    "/%zz",
    "/%E2%82%AC",
    "/bücher/größe?q=ü",
    "/@ada",
    "/user:ada@work",
    "/a/../b",
    "/./a",
    "/../a",
    "/a/b%2Fc",
    "/;v=1/x",
    "/:8000/",
    "/http://evil.example",
    "/..",
    "/.",
]

HOSTILE = [
    "",
    " ",
    "me",
    "?a=b",
    "#a",
    ".",
    "..",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "\\evil.example",
    "http://evil.example",
    "http:///evil.example",
    "https:evil.example",
    "https:/evil.example",
    "http:\\\\evil.example",
    "HTTPS://evil.example",
    "//user@evil.example",
    "//site.example@evil.example",
    "//site.example",
    "javascript:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,x",
    "\t//evil.example",
    " //evil.example",
    " /me",
    "/me ",
    "\n/me",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "/\x00/evil.example",
    "/\x0b/evil.example",
    "/a\r\nSet-Cookie: x=1",
    "/a?b\r\nc",
    "/a#b\nc",
    "/a b",
    "/a\\b",
    "/a?b\\c",
    "/\u2028/evil.example",
    "/\u00a0/evil.example",
    "/\u202egnp.exe",
    "/\ufeff/evil.example",
    "/\ud800",
    "/\x85",
    "/%2f%2fevil.example",
    "/%2fevil.example",
    "/%2F/evil.example",
    "/%5cevil.example",
    "/%5C%5Cevil.example",
    "/a/%5c",
    "/%09/evil.example",
    "/%0a/evil.example",
    "/%0d%0aSet-Cookie:x",
    "/%00",
    "/%7f",
    "/%C2%85",
    "/%E2%80%A8",
    "/%252fevil.example",
    "/%252f%252fevil.example",
    "/%25252fevil.example",
    "/%255cevil.example",
    "/%2525252525252fevil.example",
    "/%2525252525252525",
    "/.//evil.example",
    "/..//evil.example",
    "/./..//evil.example",
    "/a/..//evil.example",
    "/a/b/../..//evil.example",
    "/a//../..//evil.example",
    "/%2e//evil.example",
    "/%2e%2e//evil.example",
    "/.%2f/evil.example",
    "/..%2f%2fevil.example",
    "/%2e%2e%2f%2fevil.example",
    "/%252e%252e%252f%252fevil.example",
    "/x/%2e%2e//evil.example",
    "/.//.",
    "/a/..//.",
    "/%2e//%2e",
    "/%252e//%252e",
    "/" + "a" * MAX_LENGTH,
]


@pytest.mark.parametrize("value", HONEST)
def test_a_path_on_this_site_is_kept_unchanged(value: str) -> None:
    assert local_path(value, default=REFUSED) == value


@pytest.mark.parametrize("value", HOSTILE)
def test_what_could_lead_elsewhere_is_refused(value: str) -> None:
    assert local_path(value, default=REFUSED) == REFUSED


@pytest.mark.parametrize("value", [None, 7, b"/me", ["/me"], {"/me": 1}, object(), True])
def test_what_is_not_text_is_refused(value: object) -> None:
    assert local_path(value, default=REFUSED) == REFUSED
    assert same_site_path(value, origins=[SITE], default=REFUSED) == REFUSED


def test_the_default_is_the_front_page() -> None:
    assert local_path("//evil.example") == "/"
    assert same_site_path("//evil.example", origins=[SITE]) == "/"


def test_the_longest_path_is_kept() -> None:
    longest = "/" + "a" * (MAX_LENGTH - 1)
    assert local_path(longest) == longest


def as_a_browser_reads_it(value: str) -> str:
    """The origin, after the WHATWG URL standard's basic parser, as far as it matters here."""
    value = value.strip("".join(map(chr, range(0x21))))
    value = re.sub(r"[\t\n\r]", "", value)
    if match := re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value):
        if match[0].lower() not in ("http:", "https:"):
            return match[0].lower()
        if match[0].lower() == "https:" and not re.match(r"[/\\]{2}", value[match.end() :]):
            return SITE  # a special scheme without slashes, same as the base: relative
        rest = value[match.end() :].lstrip("/\\")
    elif re.match(r"[/\\]{2}", value):
        match, rest = None, value.lstrip("/\\")
    else:
        return SITE
    host = re.split(r"[/\\?#]", rest, maxsplit=1)[0].rpartition("@")[2].lower()
    return f"{match[0].lower() if match else 'https:'}//{host}"


def without_dot_segments(path: str) -> str:
    """RFC 3986 §5.2.4, word for word; `urljoin` drops empty segments besides."""
    left, out = path, ""
    while left:
        if left.startswith(("/./", "/../")) or left in ("/.", "/.."):
            up = left.startswith("/..")
            left = "/" + left[4 if up else 3 :]
            out = out.rpartition("/")[0] if up else out
        else:
            cut = left.find("/", 1) if "/" in left[1:] else len(left)
            out, left = out + left[:cut], left[cut:]
    return out


# Dense in the few characters that matter, so that chance finds combinations of them.
PIECES = st.sampled_from(
    [
        *"/\\.%?#@:;\t\n\r \x00\x0b\u00a0a",
        *"// .. %2f %2F %5c %2e %09 %0d%0a %25 %252f %255c %252e".split(),
        *"evil.example site.example http: https:".split(),
    ]
)
SUSPICIOUS = st.lists(PIECES, max_size=12).map("".join)


@given(st.one_of(SUSPICIOUS, SUSPICIOUS.map("/{}".format), st.text().map("/{}".format)))
@settings(max_examples=1500)
@example("/.//.")
@example("/%2e//%2e")
@example("/%252e//%252e")
@example("/;//evil.example")
@example("/..;//evil.example")
def test_whatever_is_accepted_stays_on_this_site_for_every_reader(value: str) -> None:
    path = local_path(value, default=REFUSED)
    if path == REFUSED:
        return
    assert path == value
    readings = [path]
    before_query = re.split(r"[?#]", path, maxsplit=1)[0]
    for _ in range(6):  # a proxy or a framework that decodes once more than it should
        before_query = unquote(before_query)
        readings.append(before_query)
    for reading in readings:
        joined = urlsplit(urljoin(f"{SITE}/auth/x", reading))
        assert (joined.scheme, joined.netloc) == ("https", "site.example")
        assert as_a_browser_reads_it(reading) == SITE
        # And once more, after the dot segments have been resolved.
        assert as_a_browser_reads_it(joined.path or "/") == SITE
        assert as_a_browser_reads_it(without_dot_segments(reading)) == SITE


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("https://site.example", "/"),
        ("https://site.example/", "/"),
        ("https://site.example/me?a=b#c", "/me?a=b#c"),
        ("https://SITE.example/me", "/me"),
        ("HTTPS://site.example/me", "/me"),
        ("https://site.example:443/me", "/me"),
        ("https://site.example?a=b", "/?a=b"),
        ("https://site.example#c", "/#c"),
        ("https://site.example/a?", "/a?"),
        ("http://127.0.0.1:5000/me", "/me"),
        ("http://[::1]:5000/me", "/me"),
        ("/me", "/me"),
        ("https://site.example/search?u=https%3A%2F%2Fx", "/search?u=https%3A%2F%2Fx"),
    ],
)
def test_an_address_of_this_very_site_is_cut_to_its_path(value: str, path: str) -> None:
    origins = ["https://site.example/", "http://127.0.0.1:5000", "http://[::1]:5000"]
    assert same_site_path(value, origins=origins, default=REFUSED) == path


@pytest.mark.parametrize(
    "value",
    [
        "https://evil.example/me",
        "http://site.example/me",
        "https://site.example:8443/me",
        "https://site.example.evil.example/me",
        "https://evil.example/https://site.example/",
        "https://site.example@evil.example/me",
        "https://ada@site.example/me",
        "https://site.example\\@evil.example/me",
        "https://evil.example\\@site.example/me",
        "https://site.example//evil.example",
        "https://site.example/%2fevil.example",
        "https://site.example/\\evil.example",
        "https://site.example:99999/",
        "https://[site.example/",
        "https:///me",
        "https:/me",
        "https:site.example/me",
        "//site.example/me",
        " https://site.example/me",
        "https://site.example/me\n",
        "ht\ntps://site.example/me",
        "ftp://site.example/me",
        "javascript://site.example/%0aalert(1)",
        "me",
        "",
    ],
)
def test_any_other_address_is_refused(value: str) -> None:
    assert same_site_path(value, origins=[SITE], default=REFUSED) == REFUSED


def test_without_origins_only_paths_are_accepted() -> None:
    assert same_site_path("/me", origins=[], default=REFUSED) == "/me"
    assert same_site_path(SITE, origins=[], default=REFUSED) == REFUSED


@given(st.one_of(SUSPICIOUS, SUSPICIOUS.map(f"{SITE}{{}}".format), st.text()))
@settings(max_examples=800)
def test_what_becomes_of_an_address_is_always_a_local_path(value: str) -> None:
    path = same_site_path(value, origins=[SITE], default=REFUSED)
    assert local_path(path, default="") == path

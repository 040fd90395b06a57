"""The tester's pure parts: what it was told, what it advises, how it writes and asks."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob import ConfidentialClientApplication, PublicClientApplication, SerializableTokenCache
from keyfob.errors import ConfigurationError, IdTokenError, ProviderUnreachable, StateMismatchError
from keyfob.tester import advice, show
from keyfob.tester.cache_file import CacheFile
from keyfob.tester.configuration import configured, of_sample, options
from keyfob.tester.demo import SAMPLES, Demo
from keyfob.tester.flows import parameters
from keyfob.tester.masking import Secrets
from keyfob.tester.terminal import Terminal, pick
from keyfob.tester.times import span, until

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX file modes")
DESKTOP, SITE = SAMPLES[0], SAMPLES[1]


class Script:
    """Answers, one for each question; it keeps the questions."""

    def __init__(self, *answers: str) -> None:
        self.answers = iter(answers)
        self.questions: list[str] = []
        self.out = io.StringIO()

    def read(self, question: str) -> str:
        self.questions.append(question)
        try:
            return next(self.answers)
        except StopIteration:
            raise EOFError from None

    def terminal(self, **options: Any) -> Terminal:
        return Terminal(Secrets(), self.out, read=self.read, read_hidden=self.read, **options)


# Times


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (0.9, "0 s"),
        (119, "119 s"),
        (57 * 60 + 59, "57 min"),
        (7200, "2 h"),
        (47 * 3600, "47 h"),
        (90 * 86400, "90 days"),
    ],
)
def test_a_length_of_time_is_said_in_one_number(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_a_moment_is_said_by_how_far_it_is() -> None:
    assert until(1000 + 57 * 60, 1000) == "in 57 min"
    assert until(1000 - 180, 1000) == "3 min ago"
    assert until(None, 1000) == ""


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_no_number_of_a_provider_is_too_odd_to_be_shown_as_a_time(moment: float) -> None:
    assert show.moment(moment, 1000.0)


# What it was told


def chosen(environ: dict[str, str] | None = None, *flags: str) -> Any:
    return configured(options(flags, environ or {}), Demo())


def test_without_a_client_id_nothing_is_configured_and_an_authority_alone_is_refused() -> None:
    assert chosen() is None
    with pytest.raises(ConfigurationError, match="KEYFOB_CLIENT_ID"):
        chosen({"KEYFOB_TENANT_ID": "contoso.example"})


def test_the_help_fits_into_eighty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        options(["--help"], {})
    assert ended.value.code == 0
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("environ", "flags", "place"),
    [
        ({}, (), "https://login.microsoftonline.com/common"),
        ({"KEYFOB_TENANT_ID": "t.example"}, (), "https://login.microsoftonline.com/t.example"),
        ({"KEYFOB_AUTHORITY": "https://a.example/t"}, (), "https://a.example/t"),
        ({"KEYFOB_OIDC_AUTHORITY": "https://i.example"}, (), "https://i.example"),
        ({"KEYFOB_AUTHORITY": "https://a.example/t"}, ("--oidc-authority", "https://i.example"),
         "https://i.example"),
        ({"KEYFOB_OIDC_AUTHORITY": "https://i.example"}, ("--tenant-id", "t.example"),
         "https://login.microsoftonline.com/t.example"),
    ],
)  # fmt: skip
def test_a_flag_goes_before_the_environment_and_everybody_is_the_default(
    environ: dict[str, str], flags: tuple[str, ...], place: str
) -> None:
    made = chosen({"KEYFOB_CLIENT_ID": "client", **environ}, *flags)
    assert made.place == place
    assert not made.is_confidential


def test_two_authorities_in_the_environment_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="KEYFOB_AUTHORITY and KEYFOB_TENANT_ID"):
        chosen({"KEYFOB_AUTHORITY": "https://a.example/t", "KEYFOB_TENANT_ID": "t.example"})


def test_a_secret_makes_a_confidential_client_and_public_drops_it() -> None:
    environ = {"KEYFOB_CLIENT_ID": "client", "KEYFOB_CLIENT_SECRET": "s3cret-of-mine"}
    made = chosen(environ)
    assert (made.is_confidential, made.secret) == (True, "s3cret-of-mine")
    assert "s3cret-of-mine" not in repr(made) + repr(options([], environ))
    assert chosen(environ, "--public").secret == ""
    assert chosen({}, "--client-id", "client", "--confidential").is_confidential


def test_a_sample_of_the_local_provider_needs_only_its_id() -> None:
    made = chosen({"KEYFOB_CLIENT_ID": SITE.client_id})
    assert made == of_sample(SITE, Demo())
    assert made.authority == "http://localhost:8400/common"


def test_a_published_secret_goes_nowhere_but_to_the_local_provider() -> None:
    made = chosen({"KEYFOB_CLIENT_ID": SITE.client_id, "KEYFOB_AUTHORITY": "https://a.example/t"})
    assert made.secret == ""
    assert not made.is_confidential


def test_a_registration_becomes_the_application_of_its_kind() -> None:
    cache = SerializableTokenCache()
    assert isinstance(of_sample(DESKTOP, Demo()).application(cache), PublicClientApplication)
    made = of_sample(SITE, Demo()).application(cache)
    assert isinstance(made, ConfidentialClientApplication)
    assert made.token_cache is cache


@pytest.mark.parametrize(
    "flags", [("--public", "--confidential"), ("--client-secret", "x"), ("x",)]
)
def test_wrong_flags_end_with_status_2(
    flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options(flags, {})
    assert ended.value.code == 2
    assert "usage: python -m keyfob" in capsys.readouterr().err


# What was pasted


@pytest.mark.parametrize(
    ("pasted", "found"),
    [
        ("http://localhost/?code=abc&state=x", {"code": "abc", "state": "x"}),
        ("http://localhost/#code=abc", {"code": "abc"}),
        ("?error=access_denied&state=x", {"error": "access_denied", "state": "x"}),
        ("http://localhost/?state=x", {}),
        ("abc", {}),
        ("", {}),
        ("http://[broken?code=1", {}),
    ],
)
def test_the_answer_is_found_in_the_address_that_was_pasted(
    pasted: str, found: dict[str, str]
) -> None:
    assert parameters(pasted) == found


@given(st.text())
def test_whatever_is_pasted_it_is_read_or_nothing_is(pasted: str) -> None:
    assert isinstance(parameters(pasted), dict)


# Advice


@pytest.mark.parametrize(
    ("refusal", "sentence", "cure"),
    [
        ({"error": "invalid_client", "error_codes": [7000215]}, "client secret is wrong", "value"),
        ({"error": "invalid_client"}, "application's proof", "KEYFOB_CLIENT_SECRET"),
        ({"error": "invalid_grant", "error_description": "AADSTS50126: no."}, "password", "again"),
        ({"error": "invalid_grant", "suberror": "basic_action"}, "only the person", "browser"),
        ({"error": "authorization_pending"}, "expired before", "Begin again"),
        ({"error": "something_new"}, "the provider refused", "look the error up"),
        ({"error": 7, "error_codes": "x", "error_description": []}, "refused", "look"),
    ],
)
def test_a_refusal_is_told_in_a_sentence_with_a_cure(
    refusal: dict[str, Any], sentence: str, cure: str
) -> None:
    told = advice.of_refusal(refusal)
    assert sentence in told.sentence
    assert cure in told.cure


def test_the_number_that_says_most_is_explained_and_the_provider_is_quoted_without_its_ids() -> (
    None
):
    told = advice.of_refusal(
        {
            "error": "invalid_grant",
            "error_codes": [65001],
            "error_description": "AADSTS65001: No consent. Trace ID: 1-2 Correlation ID: 3-4",
            "correlation_id": "3-4",
        }
    )
    assert told.said == "AADSTS65001: No consent."
    assert told.names == "invalid_grant, AADSTS65001"
    assert told.correlation_id == "3-4"


def test_every_piece_of_advice_reads_as_a_sentence() -> None:
    for sentence, cure in (*advice._BY_NUMBER.values(), *advice._BY_WORD.values()):
        assert not sentence.endswith(".")
        assert cure.endswith(".")
        assert cure[0].isupper()


@pytest.mark.parametrize(
    ("error", "is_demo", "cure"),
    [
        (ProviderUnreachable("It is not there."), False, "network"),
        (ProviderUnreachable("It is not there."), True, "python -m keyfob_emulator"),
        (StateMismatchError("Another attempt's"), False, "newest attempt"),
        (IdTokenError("It has expired"), False, "clock"),
        (ConfigurationError("Set it"), False, ""),
    ],
)
def test_an_error_is_told_with_what_helps(error: Any, is_demo: bool, cure: str) -> None:
    told = advice.of_error(error, is_demo=is_demo)
    assert cure in told.cure
    assert not told.sentence.endswith(".")


# Writing and asking


def test_no_line_of_a_table_is_wider_than_the_screen() -> None:
    script = Script()
    rows = [("Access token", "somebody.with.a.long.name@contoso.example", "api://x/" + "y" * 70,
             "in 57 min", "1,482")]  # fmt: skip
    show.table(script.terminal(), show._CACHE_COLUMNS, rows)
    assert max(map(len, script.out.getvalue().splitlines())) <= 80


@given(st.text(max_size=300), st.integers(1, 40))
def test_a_cell_is_broken_into_lines_that_fit_and_loses_nothing(cell: str, width: int) -> None:
    lines = list(show._broken(cell, width))
    assert all(len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(cell.split())


@given(st.lists(st.tuples(st.text(max_size=15), st.text(max_size=200)), max_size=5))
def test_facts_fit_into_eighty_columns(facts: list[tuple[str, str]]) -> None:
    script = Script()
    script.terminal().facts(facts)
    assert all(len(line) <= 80 for line in script.out.getvalue().split("\n"))


@pytest.mark.parametrize(
    ("answer", "picked"),
    [("1", "browser"), ("3", "code"), ("0", None), ("4", None), ("99999999999", None),
     ("code", "code"), ("dev", "device"), ("", None), ("x", None), ("²", None)],
)  # fmt: skip
def test_an_entry_is_picked_by_number_word_or_beginning(answer: str, picked: str | None) -> None:
    assert pick(answer, ["browser", "device", "code"]) == picked


def test_a_beginning_that_two_words_have_picks_none() -> None:
    assert pick("c", ["cache", "code"]) is None


def test_a_wrong_choice_is_asked_again_and_zero_leads_back() -> None:
    script = Script("7", "what", "b")
    assert script.terminal().choose("Which", {"a": "first", "b": "second"}) == "b"
    assert len(script.questions) == 3
    assert "from 0 to 2" in script.out.getvalue()
    assert Script("0").terminal().choose("Which", {"a": "first"}) is None
    assert Script("quit").terminal().choose("Which", {"a": "first"}, "quit") is None


def test_what_is_typed_in_hiding_is_a_secret_from_then_on() -> None:
    script = Script("a-password-of-mine", "open-sesame")
    terminal = script.terminal()
    assert terminal.ask_hidden("Password") == "a-password-of-mine"
    assert terminal.ask_hidden("Password", "open-sesame") == "open-sesame"
    terminal.line("a-password-of-mine, open-sesame")
    assert "-password-" not in script.out.getvalue()
    assert "open-sesame" in script.out.getvalue()


@pytest.mark.parametrize("has_colours", [True, False])
def test_colours_only_where_they_are_welcome(has_colours: bool) -> None:
    script = Script()
    script.terminal(has_colours=has_colours).line("Title", "bold")
    assert ("\x1b[" in script.out.getvalue()) is has_colours


# The file of the cache


@pytest.fixture
def cache() -> SerializableTokenCache:
    made = SerializableTokenCache()
    made.modify(
        "Account", {"home_account_id": "1", "environment": "e", "realm": "r"}, {"username": "ada"}
    )
    return made


def loaded(path: Path) -> SerializableTokenCache:
    made = SerializableTokenCache()
    CacheFile(path).load(made)
    return made


def test_a_cache_comes_back_from_its_file(tmp_path: Path, cache: SerializableTokenCache) -> None:
    path = tmp_path / "cache.json"
    CacheFile(path).save(cache)
    assert loaded(path).serialize() == cache.serialize()
    assert [entry.name for entry in tmp_path.iterdir()] == ["cache.json"]


def test_an_unchanged_cache_writes_nothing(tmp_path: Path) -> None:
    CacheFile(tmp_path / "cache.json").save(SerializableTokenCache())
    assert not list(tmp_path.iterdir())


@POSIX
def test_only_its_owner_can_read_the_file_whatever_it_was_before(
    tmp_path: Path, cache: SerializableTokenCache
) -> None:
    path = tmp_path / "cache.json"
    path.write_text("{}")
    path.chmod(0o644)
    file = CacheFile(path)
    assert file.is_readable_by_others()
    before = os.umask(0)
    try:
        file.save(cache)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not file.is_readable_by_others()


@POSIX
def test_a_link_stays_a_link(tmp_path: Path, cache: SerializableTokenCache) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "elsewhere" / "cache.json")
    CacheFile(link).save(cache)
    assert link.is_symlink()
    assert loaded(tmp_path / "elsewhere" / "cache.json").serialize() == cache.serialize()


def test_a_write_that_fails_leaves_the_old_file_and_the_change_to_be_saved(
    tmp_path: Path, cache: SerializableTokenCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cache.json"
    path.write_text("{}")

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        CacheFile(path).save(cache)
    assert path.read_text() == "{}"
    assert [entry.name for entry in tmp_path.iterdir()] == ["cache.json"]
    assert cache.has_state_changed


def with_text(path: Path) -> None:
    path.write_bytes(b'{"AccessToken": {"k": {"secret": "a-token-of-somebody"')


def with_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("arrange", [with_text, with_folder])
def test_what_is_no_cache_is_refused_unread_and_untouched(
    tmp_path: Path, arrange: Callable[[Path], None]
) -> None:
    path = tmp_path / "cache.json"
    arrange(path)
    with pytest.raises(ConfigurationError) as refused:
        loaded(path)
    assert str(path) in str(refused.value)
    assert "a-token-of" not in str(refused.value)
    assert refused.value.__context__ is None or "a-token" not in str(refused.value.__context__)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make it first"):
        loaded(tmp_path / "none" / "cache.json")


def test_a_file_that_is_not_there_yet_is_an_empty_cache(tmp_path: Path) -> None:
    assert loaded(tmp_path / "cache.json").serialize() == SerializableTokenCache().serialize()

"""Nothing that the tester writes has nine characters in a row of any secret."""

from __future__ import annotations

import io
import logging
import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from keyfob.cache import SerializableTokenCache
from keyfob.tester import advice, show
from keyfob.tester.masking import RUN, SECRET_FIELDS, Secrets, masked, printable
from keyfob.tester.terminal import ScrubbedHandler, Terminal
from support.id_tokens import token

TOKEN_LETTERS = string.ascii_letters + string.digits + "-_."
#: With a digit or a sign every few letters, so that none of them is a word of ours.
tokens = st.lists(
    st.tuples(
        st.text(TOKEN_LETTERS, min_size=1, max_size=6),
        st.text("0123456789", min_size=2, max_size=3),
    ).map("".join),
    min_size=3,
    max_size=40,
).map("".join)
anything = st.text(max_size=60)


def pieces(secret: str) -> set[str]:
    text = printable(secret)
    return {text[i : i + RUN] for i in range(len(text) - RUN + 1)}


def terminal(secrets: Secrets) -> tuple[Terminal, io.StringIO]:
    out = io.StringIO()
    return Terminal(secrets, out), out


def test_a_token_is_shown_by_its_beginning_and_its_size() -> None:
    assert masked("eyJ0" + "x" * 1478) == "eyJ0…(1,482 characters)"


def test_of_a_short_secret_only_the_size_is_shown() -> None:
    assert masked("hunter2") == "…(7 characters)"
    assert masked("x") == "…(1 character)"


@given(secret=st.text(min_size=RUN), before=anything, after=anything)
def test_no_nine_characters_of_a_secret_survive_whatever_they_are(
    secret: str, before: str, after: str
) -> None:
    secrets = Secrets()
    secrets.add(secret)

    shown = secrets.scrub(before + secret + after)

    assert not [piece for piece in pieces(secret) if piece in shown]


@given(secret=st.text(TOKEN_LETTERS, min_size=30), data=st.data())
def test_nor_do_they_where_a_part_of_it_is_quoted(secret: str, data: st.DataObject) -> None:
    secrets = Secrets()
    secrets.add(secret)
    start = data.draw(st.integers(0, len(secret) - RUN))
    end = data.draw(st.integers(start + RUN, len(secret)))

    shown = secrets.scrub(f"invalid token '{secret[start:end]}'")

    assert not [piece for piece in pieces(secret) if piece in shown]


@given(text=st.text(), secret=tokens)
def test_what_is_no_secret_stays_as_it_is(text: str, secret: str) -> None:
    secrets = Secrets()
    secrets.add(secret)
    assert secrets.scrub(text) == printable(text) or any(
        p in printable(text) for p in pieces(secret)
    )


@given(st.text())
def test_nothing_that_is_written_can_command_a_terminal(text: str) -> None:
    shown = Secrets().scrub(text)
    assert all(c.isprintable() or c == "\n" for c in shown)
    assert len(shown) == len(text)


def test_a_text_that_is_too_short_to_be_hidden_makes_no_holes() -> None:
    secrets = Secrets()
    secrets.add("token", None, 7)
    assert secrets.scrub("Here is a token.") == "Here is a token."


@settings(deadline=None)
@given(
    secret=st.fixed_dictionaries(dict.fromkeys(SECRET_FIELDS, tokens)),
    where=st.sampled_from(["scope", "token_source", "token_type", "name", "unknown"]),
    repeated=st.sampled_from(SECRET_FIELDS),
)
def test_a_token_response_is_shown_without_its_tokens_wherever_the_provider_repeats_them(
    secret: dict[str, str], where: str, repeated: str
) -> None:
    answer: dict[str, Any] = {"expires_in": 3600, "id_token_claims": {"sub": "1"}, **secret}
    answer[where] = f"see {secret[repeated]} there"
    answer["id_token_claims"][where] = answer[where]
    secrets = Secrets()
    secrets.add_result(answer)
    writer, out = terminal(secrets)

    show.result(writer, answer, 0.0)
    show.claims_table(writer, answer["id_token_claims"], 0.0)
    show.answer_of_api(writer, 200, answer)

    assert_hidden(out.getvalue(), secret.values())
    assert masked(secret["access_token"]).partition("…")[2] in out.getvalue()


@settings(deadline=None)
@given(secret=tokens)
def test_a_refusal_is_shown_without_what_it_quotes(secret: str) -> None:
    refusal = {"error": "invalid_grant", "error_description": f"AADSTS70000: {secret} is stale."}
    secrets = Secrets()
    secrets.add(secret)
    writer, out = terminal(secrets)

    show.refusal(writer, advice.of_refusal(refusal), "No token:")

    assert_hidden(out.getvalue(), [secret])
    assert "AADSTS70000" in out.getvalue()


@settings(deadline=None)
@given(access=tokens, refresh=tokens)
def test_the_cache_is_shown_without_its_tokens(access: str, refresh: str) -> None:
    cache = SerializableTokenCache(clock=lambda: 1000.0)
    id_token = token({"sub": "1", "preferred_username": "ada@contoso.example", "exp": 4600})
    cache.add(
        {
            "client_id": "client",
            "scope": ["User.Read"],
            "token_endpoint": "https://login.example/tenant/token",
            "response": {
                "access_token": access,
                "refresh_token": refresh,
                "id_token": id_token,
                "expires_in": 3600,
            },
        }
    )
    secrets = Secrets()
    secrets.add_cache(cache)
    writer, out = terminal(secrets)

    show.cache_table(writer, cache, {"client": "Client"}, 1000.0)

    text = out.getvalue()
    assert_hidden(text, [access, refresh, id_token])
    assert "ada@contoso.example" in text
    assert "in 60 min" in text
    assert f"{len(access):,}" in text
    assert cache.has_state_changed


@given(secret=tokens)
def test_the_log_is_scrubbed_as_well(secret: str) -> None:
    secrets, stream = Secrets(), io.StringIO()
    secrets.add(secret)
    handler = ScrubbedHandler(secrets, stream)

    handler.emit(logging.LogRecord("keyfob", logging.DEBUG, "", 1, "got %s", (secret,), None))

    assert stream.getvalue().startswith("DEBUG keyfob: got ")
    assert_hidden(stream.getvalue(), [secret])


def test_its_own_representation_shows_none() -> None:
    secrets = Secrets()
    secrets.add("a-secret-of-some-length")
    assert "secret-of" not in repr(secrets)


def assert_hidden(text: str, secrets: Any) -> None:
    for secret in secrets:
        assert not [piece for piece in pieces(secret) if piece in text]

"""Talking to a person in a terminal, or to a script through pipes. Shows nothing secret."""

from __future__ import annotations

import getpass
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from keyfob.tester.masking import Secrets

WIDTH = 80
_NARROWEST = 40
_LABEL = 15
_STYLES = {"bold": "1", "dim": "2", "bad": "31", "good": "32"}


class Terminal:
    """What is said, and what is asked. Everything that is written is scrubbed of secrets first.

    :param out: where to write.
    :param read: reads a line, after a prompt, without its end; raises EOFError at the end.
    :param read_hidden: likewise, without showing what is typed.
    :param is_person: whether a person types there: then what they type is on the screen already,
        and progress may be drawn over and over.
    :param has_colours: whether to use them.
    :param width: of the lines, in characters.
    """

    def __init__(
        self,
        secrets: Secrets,
        out: TextIO,
        *,
        read: Callable[[str], str] = input,
        read_hidden: Callable[[str], str] = getpass.getpass,
        is_person: bool = False,
        has_colours: bool = False,
        width: int = WIDTH,
    ) -> None:
        self.secrets = secrets
        self.is_person = is_person
        self.width = max(_NARROWEST, min(width, WIDTH))
        self._out = out
        self._read = read
        self._read_hidden = read_hidden
        self._has_colours = has_colours

    # Saying

    def line(self, text: str = "", style: str = "") -> None:
        """One line, however long: an address, say."""
        self._write(self._styled(self.secrets.scrub(text), style) + "\n")

    def paragraph(self, text: str, *, indent: int = 0, style: str = "") -> None:
        """A text, wrapped; what has no spaces is not broken."""
        margin = " " * indent
        for line in self.secrets.scrub(text).splitlines() or [""]:
            wrapped = textwrap.wrap(
                line,
                self.width,
                initial_indent=margin,
                subsequent_indent=margin,
                break_long_words=False,
                break_on_hyphens=False,
            )
            for piece in wrapped or [""]:
                self.line(piece, style)

    def heading(self, text: str) -> None:
        self.line()
        self.line(text, "bold")

    def value_width(self, label_width: int = _LABEL) -> int:
        """How wide the second column of `facts` is."""
        return max(20, self.width - label_width - 4)

    def facts(self, facts: Sequence[tuple[str, str]], label_width: int = _LABEL) -> None:
        """Pairs of a name and a value, in two columns. Empty values are left out."""
        for label, value in facts:
            if not value:
                continue
            name = label
            for line in self.secrets.scrub(value).splitlines():
                for piece in textwrap.wrap(line, self.value_width(label_width)):
                    self.line(f"  {name:<{label_width}}  {piece}")
                    name = ""

    def progress(self, text: str) -> None:
        """Say in one line, again and again, how far something is. Scripts are not told."""
        if self.is_person:
            self._write("\r" + self.secrets.scrub(text)[: self.width - 1].ljust(self.width - 1))

    def end_progress(self) -> None:
        if self.is_person:
            self._write("\r" + " " * (self.width - 1) + "\r")

    # Asking

    def ask(self, question: str, default: str = "", *, echo: bool = True) -> str:
        """A line that was typed, or the default for an empty one.

        :param echo: whether a script's answer is written down, as a person's is by typing.
        :raises EOFError: there is nothing more to read.
        """
        prompt = f"{question} [{default}]: " if default else f"{question}: "
        answer = self._read(self.secrets.scrub(prompt)).strip()
        if not self.is_person:
            self.line(answer if echo else "")
        return answer or default

    def ask_hidden(self, question: str, default: str = "") -> str:
        """A secret that was typed. From now on it is one.

        :param default: what an empty answer means. It is shown: it must be no secret.
        """
        enter = f"; Enter for {default}" if default else ""
        prompt = f"{question} (not shown{enter}): "
        answer = (self._read_hidden if self.is_person else self._read)(prompt).strip()
        if answer != default:
            self.secrets.add(answer)
        if not self.is_person:
            self.line()
        return answer or default

    def ask_yes(self, question: str) -> bool:
        """Whether the answer begins with a y; an empty one is no."""
        return self.ask(f"{question} [y/N]").lower().startswith("y")

    def choose(self, question: str, options: Mapping[str, str], out: str = "back") -> str | None:
        """One of the options' words, by its number or its word; None for `0`, the way out.

        :param options: what each word means.
        :param out: what `0` means.
        """
        words = list(options)
        widest = max(map(len, words), default=0)
        for number, (word, meaning) in enumerate(options.items(), 1):
            self._option(number, word, widest, meaning)
        self.line(f"   0  {out}")
        while True:
            answer = self.ask(question).lower()
            if answer in ("0", out):
                return None
            found = pick(answer, words)
            if found is not None:
                return found
            self.paragraph(f"Please type a number from 0 to {len(words)}, or a word of the list.")

    def _option(self, number: int, word: str, width: int, meaning: str) -> None:
        column = 6 + width + 2
        lines = textwrap.wrap(self.secrets.scrub(meaning), max(20, self.width - column)) or [""]
        self.line(f"  {number:>2}  {word:<{width}}  {lines[0]}".rstrip())
        for more in lines[1:]:
            self.line(" " * column + more)

    def menu_line(self, number: int, word: str, meaning: str) -> None:
        """One line of the menu."""
        self._option(number, word, 10, meaning)

    def _styled(self, text: str, style: str) -> str:
        if not self._has_colours or not style or not text:
            return text
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


class ScrubbedHandler(logging.Handler):
    """Log lines, scrubbed like everything else."""

    def __init__(self, secrets: Secrets, stream: TextIO) -> None:
        super().__init__()
        self._secrets = secrets
        self._stream = stream
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._stream.write(self._secrets.scrub(self.format(record)) + "\n")
        self._stream.flush()


def pick(answer: str, words: Sequence[str]) -> str | None:
    """The word that is meant: by its number from 1, itself, or a beginning that only it has."""
    if answer.isascii() and answer.isdigit():
        number = int(answer[:4])
        return words[number - 1] if 1 <= number <= len(words) else None
    lowered = [word.lower() for word in words]
    if answer in lowered:
        return words[lowered.index(answer)]
    begun = [word for word in words if answer and word.lower().startswith(answer)]
    return begun[0] if len(begun) == 1 else None


def this_terminal(secrets: Secrets, environ: Mapping[str, str]) -> Terminal:
    """The one the program runs in; colours only where they are seen and welcome (no-color.org)."""
    shown = sys.stdout.isatty()
    colours = shown and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    if os.name == "nt" and "WT_SESSION" not in environ:
        colours = False  # The older console shows the codes themselves.
    return Terminal(
        secrets,
        sys.stdout,
        is_person=shown and sys.stdin.isatty(),
        has_colours=colours,
        width=shutil.get_terminal_size((WIDTH, 24)).columns,
    )

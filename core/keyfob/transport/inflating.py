"""Unpacks an answer's body as it arrives, never more of it than is wanted."""

from __future__ import annotations

import zlib

_PLAIN = frozenset({"", "identity"})
_GZIP = frozenset({"gzip", "x-gzip"})
_EITHER_DEFLATE = "deflate"
#: Bytes. zlib's head has two; what is wrong with it shows by then.
_LONGEST_HEAD = 16


class BrokenEncoding(Exception):
    """The body is not what its Content-Encoding says."""


class Inflating:
    """One body on its way. Make one with `Inflating.of`."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        #: What came before anything was made of it.
        self._head = b""
        self._started = False
        self._plain = encoding in _PLAIN
        self._decoder = zlib.decompressobj(_window(encoding))

    @classmethod
    def of(cls, content_encoding: str) -> Inflating | None:
        """For one of the encodings that are asked for (RFC 9110 §8.4.1); None for any other."""
        encoding = content_encoding.strip().lower()
        if encoding in _PLAIN or encoding in _GZIP or encoding == _EITHER_DEFLATE:
            return cls(encoding)
        return None

    def feed(self, chunk: bytes, most: int) -> bytes:
        """The next bytes of the body, at most `most` (and 1 at least) of what `chunk` makes.

        :raises BrokenEncoding: it is not so encoded.
        """
        if self._plain:
            return chunk
        try:
            made = self._inflated(chunk, max(1, most))
        except zlib.error:
            raise BrokenEncoding("broken") from None
        self._started = self._started or bool(made)
        self._head = b"" if self._started else self._head + chunk[:_LONGEST_HEAD]
        return made

    def _inflated(self, chunk: bytes, most: int) -> bytes:
        try:
            return self._decoder.decompress(chunk, most)
        except zlib.error:
            if self._started or self._encoding != _EITHER_DEFLATE:
                raise
            # Some send the bare stream without zlib's head (RFC 9110 §8.4.1.2).
            self._decoder = zlib.decompressobj(-zlib.MAX_WBITS)
            self._encoding = "bare deflate"
            return self._decoder.decompress(self._head + chunk, most)

    def end(self) -> None:
        """The body is over.

        :raises BrokenEncoding: it breaks off.
        """
        begun = self._started or self._head
        if begun and not self._decoder.eof:
            raise BrokenEncoding("breaks off")


def _window(encoding: str) -> int:
    return 16 + zlib.MAX_WBITS if encoding in _GZIP else zlib.MAX_WBITS

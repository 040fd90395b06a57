"""Reading XML from elsewhere, without the parts of XML that do harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # few applications ever read XML
    from xml.etree.ElementTree import Element
    from xml.parsers.expat import XMLParserType


def parse_xml(document: bytes) -> Element:
    """The root of a document.

    A DTD is refused: entities that expand to gigabytes, or name files, need one.

    :raises ValueError: it is not well-formed, or has a DTD. The reason quotes nothing.
    """
    import xml.etree.ElementTree as ET

    _refuse_dtd(document)
    try:
        return ET.fromstring(document)  # noqa: S314 - it has no DTD
    except (ET.ParseError, ValueError, LookupError):
        raise ValueError("it is not well-formed XML") from None


def element_bytes(document: bytes, parent: str, index: int = 0) -> bytes:
    """The first child element of the first `parent`, byte for byte as it stands in the document.

    What was signed must not be written anew: other prefixes would break the signature.

    :param parent: a name as ElementTree writes it, `{namespace}name`.
    :param index: which of several parents.
    :raises ValueError: there is none, or the document is not well-formed.
    """
    from xml.parsers import expat

    finder = _Finder(parent.removeprefix("{").replace("}", " "), index)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = _no_dtd
    parser.StartElementHandler = lambda name, _: finder.start(name, parser.CurrentByteIndex)
    parser.EndElementHandler = lambda name: finder.end(name, parser.CurrentByteIndex)
    _parse(parser, document)
    if finder.begins is None or finder.ends is None:
        raise ValueError("it lacks an element")
    # The end is known as the place where the end tag begins; no tag has a ">" inside its name.
    closing = document.index(b">", finder.ends) + 1
    return document[finder.begins : closing]


class _Finder:
    def __init__(self, parent: str, index: int) -> None:
        self._parent = parent
        self._left = index
        self._depth = 0
        self._inside: int | None = None
        self.begins: int | None = None
        self.ends: int | None = None

    def start(self, name: str, at: int) -> None:
        self._depth += 1
        if self._inside is None and name == self._parent:
            if self._left == 0:
                self._inside = self._depth
            self._left -= 1
        elif self._inside is not None and self._depth == self._inside + 1 and self.begins is None:
            self.begins = at

    def end(self, name: str, at: int) -> None:
        del name
        is_child = self._inside is not None and self._depth == self._inside + 1
        if is_child and self.begins is not None and self.ends is None:
            self.ends = at
        self._depth -= 1


def _refuse_dtd(document: bytes) -> None:
    from xml.parsers import expat

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _no_dtd
    _parse(parser, document)


class _DtdFound(ValueError):
    pass


def _no_dtd(*_: object) -> None:
    raise _DtdFound("it has a DTD")


def _parse(parser: XMLParserType, document: bytes) -> None:
    from xml.parsers import expat

    try:
        # Places are counted in bytes: with two bytes a character, a tag might end in half of one.
        document.decode("utf-8")
        parser.Parse(document, True)  # noqa: FBT003 - that was all of it
    except _DtdFound:
        raise
    except (expat.ExpatError, LookupError, ValueError):  # the last two of encodings it names
        raise ValueError("it is not well-formed XML") from None

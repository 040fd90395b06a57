"""Portraits without a photographer: a small PNG drawn from nothing but a person's id.

PNG: ISO/IEC 15948, colour type 2, one IDAT chunk. A soft gradient, and head and shoulders on it.
"""

from __future__ import annotations

import colorsys
import hashlib
import struct
import zlib
from functools import lru_cache
from math import hypot

_Colour = tuple[float, float, float]


@lru_cache(maxsize=64)
def portrait(seed: str, size: int = 192) -> bytes:
    """A PNG that is the same for the same seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    hue = digest[0] / 255
    turn = 0.08 + digest[1] / 255 * 0.10
    top = colorsys.hls_to_rgb(hue, 0.62, 0.62)
    bottom = colorsys.hls_to_rgb((hue + turn) % 1, 0.38, 0.58)
    skin = colorsys.hls_to_rgb((hue + turn / 2) % 1, 0.93, 0.75)
    coat = colorsys.hls_to_rgb((hue + turn / 2) % 1, 0.84, 0.60)
    rows = bytearray()
    for y in range(size):
        rows.append(0)  # filter type "none"
        for x in range(size):
            u, v = (x + 0.5) / size, (y + 0.5) / size
            colour = _mix(top, bottom, min(1.0, (u * 0.35 + v) / 1.35))
            colour = _mix(colour, coat, _shoulders(u, v, size))
            colour = _mix(colour, skin, _head(u, v, size))
            rows.extend(int(channel * 255 + 0.5) for channel in colour)
    return _png(size, bytes(rows))


def _mix(below: _Colour, above: _Colour, share: float) -> _Colour:
    if share <= 0:
        return below
    keep = 1 - share
    return (
        below[0] * keep + above[0] * share,
        below[1] * keep + above[1] * share,
        below[2] * keep + above[2] * share,
    )


def _edge(distance: float, size: int) -> float:
    """Coverage of a pixel by a shape whose border is that far away: smooth edges."""
    return max(0.0, min(1.0, 0.5 - distance * size))


def _head(u: float, v: float, size: int) -> float:
    return _edge(hypot(u - 0.5, (v - 0.40) * 0.92) - 0.175, size)


def _shoulders(u: float, v: float, size: int) -> float:
    body = _edge((hypot((u - 0.5) / 0.36, (v - 1.02) / 0.36) - 1) * 0.36, size)
    # A thin gap under the chin lets the head stand free.
    gap = _edge(hypot(u - 0.5, (v - 0.40) * 0.92) - 0.205, size)
    return body * (1 - gap)


def _png(size: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")):
        parts += [
            struct.pack(">I", len(data)),
            kind,
            data,
            struct.pack(">I", zlib.crc32(kind + data)),
        ]
    return b"".join(parts)

"""What an ONNX file would cost to parse, known before it is parsed.

A field of two bytes can become a message object of two hundred, so that a file of 200 MB could ask
for 20 GB. The bytes are walked without making anything of them, and whoever parses can refuse.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parsing_cost"]

_PER_FIELD = 256  # bytes of memory a field may take, and a bound on the time that the walk takes
_DEEPEST = 30
# How many times its length a field may take in memory.
_TEXT, _NUMBERS, _MESSAGES = 1, 8, 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}

# Field numbers of ONNX's messages: those that hold one of these messages, plain bytes, or packed
# numbers. Any other field is taken for a message full of small messages.
_CHILDREN = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {},
}
_FACTORS = {
    "model": dict.fromkeys((2, 3, 4, 6), _TEXT),
    "graph": dict.fromkeys((2, 10), _TEXT),
    "node": dict.fromkeys((1, 2, 3, 4, 6, 7, 8), _TEXT),
    "attribute": {**dict.fromkeys((1, 4, 7, 9, 13, 21), _TEXT), 8: _NUMBERS},
    "tensor": {
        **dict.fromkeys((4, 6, 8, 9, 10, 12), _TEXT),
        **dict.fromkeys((1, 5, 7, 11), _NUMBERS),
    },
}
# Lists that are not packed, one field an item: AttributeProto.floats, ints and strings. Forests
# have millions of them, which these patterns take at once.
_SHORT = b"|".join(b"\\x%02x.{%d}" % (length, length) for length in range(24))
_LISTS = {
    0x3D: (7, re.compile(rb"(?:\x3d.{4})+", re.DOTALL)),
    0x40: (8, re.compile(rb"(?:\x40[\x80-\xff]{0,9}[\x00-\x7f])+")),
    0x4A: (8, re.compile(rb"(?:\x4a(?:" + _SHORT + rb"))+", re.DOTALL)),
}


def parsing_cost(content: bytes, *, limit: int) -> int:
    """Return about how many bytes of memory parsing an ONNX file takes, or what exceeds `limit`.

    Raises `ValueError` when the bytes are no protobuf message.
    """
    cost = 0
    waiting = [("model", 0, len(content), 0)]
    while waiting and cost <= limit:
        kind, start, end, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f"its messages are nested deeper than {_DEEPEST}")
        children, factors = _CHILDREN[kind], _FACTORS[kind]
        for number, first, last in _fields(content, start, end, lists=kind == "attribute"):
            cost += _PER_FIELD
            if number in children:
                waiting.append((children[number], first, last, depth + 1))
            else:
                cost += (last - first) * factors.get(number, _MESSAGES)
            if cost > limit:
                break
    return cost


def _fields(content: bytes, start: int, end: int, *, lists: bool) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each field of a message and where its bytes begin and end."""
    place = start
    while place < end:
        if lists and content[place] in _LISTS:
            number, pattern = _LISTS[content[place]]
            run = pattern.match(content, place, end)
            if run:
                yield number, place, run.end()
                place = run.end()
                continue
        tag, first = _varint(content, place, end)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            _, place = _varint(content, first, end)
        elif wire_type == _BYTES:
            length, first = _varint(content, first, end)
            place = first + length
        elif wire_type in _WIDTHS:
            place = first + _WIDTHS[wire_type]
        else:
            raise ValueError(f"byte {place} begins a field of the unknown type {wire_type}")
        if place > end or number == 0:
            raise ValueError(f"a field at byte {first} goes beyond its message")
        yield number, first, place


def _varint(content: bytes, place: int, end: int) -> tuple[int, int]:
    """Read a number of 7 bits a byte; return it and the place behind it."""
    value = shift = 0
    while place < end and shift < 64:  # noqa: PLR2004  a varint has at most 64 bits
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004  the eighth bit says that more follows
            return value, place
        shift += 7
    raise ValueError(f"a number at byte {place} is cut short or too long")

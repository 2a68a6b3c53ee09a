"""Text from outside, such as names of files and what a library raised, made fit to be printed.

A terminal obeys control characters (they colour, erase, move the cursor, make a link), follows marks that reverse the
order of what is read, and an encoder stops at halves of surrogate pairs, as which undecodable bytes of a file's name
come. Each becomes its escape, as in Python and JSON: `\\u001b`.
"""

from __future__ import annotations

import re

# C0, DEL and C1 without tab and line feed; marks of direction, line and paragraph separators; the byte order mark;
# lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_BREAKS = re.compile("[\t\n]")


def printable(text: str) -> str:
    """Without anything that a terminal obeys but tabs and line feeds."""
    return _UNSAFE.sub(_escape, text)


def one_line(text: str) -> str:
    """As `printable`, for a name: it has neither tabs nor line feeds, which could pass for other lines' text."""
    return _BREAKS.sub(_escape, printable(text))


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"

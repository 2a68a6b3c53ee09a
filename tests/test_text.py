"""What is made of text from outside before it is printed."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.text import one_line, printable

TEXT = st.text(st.characters())  # surrogates too
TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # classes of Unicode's bidirectional algorithm
OBEYED = {"Cc", "Cs", "Zl", "Zp"}


@given(TEXT)
def test_no_control_character_is_left_but_tabs_and_line_feeds(text):
    made = printable(text)
    assert not [c for c in made if c not in "\t\n" and unicodedata.category(c) in OBEYED]
    assert not [
        c
        for c in made
        if unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    ]
    made.encode("utf-8")


@given(TEXT)
def test_a_name_is_one_line(text):
    assert len(one_line(text).splitlines()) <= 1
    assert printable(one_line(text)) == one_line(text)


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
def test_what_people_write_stays_as_it_is(text):
    assert printable(text) == text


@given(st.dictionaries(TEXT, st.lists(TEXT)))
def test_json_stays_the_same_json(document):
    assert json.loads(printable(json.dumps(document, indent=2))) == document


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]8;;https://example.org\x07here", "\\u001b]8;;https://example.org\\u0007here"),
        ("photo\u202egnp.exe", "photo\\u202egnp.exe"),
        ("\x9b31m", "\\u009b31m"),
        ("\udcff.png", "\\udcff.png"),
        ("a\rb\x7f", "a\\u000db\\u007f"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("Größe 5 µs, 日本, 👩‍🚀", "Größe 5 µs, 日本, 👩‍🚀"),
    ],
)
def test_each_is_shown_as_its_escape(text, shown):
    assert printable(text) == shown


def test_the_place_of_an_error_is_one_line_whatever_the_name_of_the_file():
    error = HarnessError("cannot be read", where="x\nok: all fine\x1b[2K", hint="Remove it.")
    assert str(error).splitlines() == ["x\\u000aok: all fine\\u001b[2K: cannot be read", "Remove it."]

"""`--vary KEY=A,B,...`: the values that one key of a scenario takes in turn.

    axis    = KEY "=" item { "," item }
    item    = value | range
    value   = anything that `--set KEY=value` takes: YAML. A comma within brackets, braces or quotes does
              not separate.
    range   = number [unit] ".." number [unit] "/" number [unit]

A range `FROM..TO/STEP` has exact decimal steps and includes both ends (TO only if the steps reach it). Its unit is
written once, after the step, or after every number: `load.rate=10..50/10/s` is `load.rate=10/s..50/s/10/s`. A range of
a rate without a unit is per second. A value that only looks like a range goes in quotes.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, NoReturn

import yaml

from harness.errors import ScenarioError, UsageError
from harness.scenario.overriding import Override

MOST_VALUES = 10_000
OPTION = "--vary"
_EXAMPLE = f"Such as {OPTION} stages.inference.batch.max=1,2,4 or {OPTION} load.rate=10..50/10/s."
_CLOSING = {"[": "]", "{": "}"}
_NUMBER, _UNIT = r"(-?\d+(?:\.\d+)?)", r"\s*(/\s*(?:s|min|h)|[a-zµ%]*)"
_RANGE = re.compile(rf"{_NUMBER}{_UNIT}\s*\.\.\s*{_NUMBER}{_UNIT}\s*/\s*{_NUMBER}{_UNIT}")
_PLAIN = re.compile(r"[\w/](?:[\w./ -]*[\w/.])?")
_BEGINS_AS_RANGE = re.compile(rf"{_NUMBER}{_UNIT}\s*\.\.")


@dataclass(frozen=True)
class Axis:
    """A key of a scenario and the values that it takes.

    key: the path of the key, such as load.rate. texts: the values as `--set` takes them, all different.
    """

    key: str
    texts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Axis:
        """Read KEY=A,B,...; the module's docstring has the grammar. Raises UsageError, which names the character."""
        key, equals, _ = text.partition("=")
        path = ".".join(part.strip() for part in key.split("."))
        if not equals or not all(path.split(".")):
            _refuse(text, "expected KEY=VALUE,VALUE,... or KEY=FROM..TO/STEP")
        texts: list[str] = []
        for start, item in _items(text, len(key) + 1):
            texts += _range(text, path, start, item) if _BEGINS_AS_RANGE.match(item) else [item]
            if len(texts) > MOST_VALUES:
                _refuse(text, f"more than {MOST_VALUES:,} values")
            _check_value(text, path, start, item)
        axis = cls(path, tuple(texts))
        seen: set[str] = set()
        for value, shown in zip(axis.values, axis.texts, strict=True):
            if repr(value) in seen:
                _refuse(text, f"the value {shown} stands there twice")
            seen.add(repr(value))
        return axis

    @classmethod
    def of(cls, key: str, values: Iterable[Any]) -> Axis:
        """An axis of plain values, such as 4, "20/s", None or [224, 320]. Raises UsageError as `parse` does."""
        return cls.parse(f"{key}={','.join(map(_written, values))}")

    def __str__(self) -> str:
        """KEY=A,B,...: `parse` reads it back equal."""
        return f"{self.key}={','.join(self.texts)}"

    @cached_property
    def values(self) -> tuple[Any, ...]:
        """The values as YAML reads them."""
        return tuple(Override.parse(override).value for override in self.overrides)

    @property
    def overrides(self) -> tuple[str, ...]:
        """KEY=VALUE for each value, as `--set` takes them."""
        return tuple(f"{self.key}={text}" for text in self.texts)

    @property
    def scalars(self) -> tuple[int | float | str, ...]:
        """For tables: whole numbers where all values are such, else numbers where all are such, else the texts."""
        for kind in (int, float):
            try:
                return tuple(kind(text) for text in self.texts)
            except ValueError:
                continue
        return self.texts


def parse_axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Every axis, each with a key of its own. Raises UsageError."""
    axes = tuple(Axis.parse(text) for text in texts)
    keys = [axis.key for axis in axes]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise UsageError(
            "this key is varied twice", where=f"{OPTION} {twice}", hint=f"Give all its values in one {OPTION}."
        )
    return axes


def combinations(axes: Sequence[Axis], most: int, what: str = "variants") -> list[tuple[str, ...]]:
    """The overrides of every combination; the last axis changes fastest. Without axes: one combination, of nothing.

    Raises UsageError for more than `most` combinations; what: their name in the error.
    """
    count = math.prod(len(axis.texts) for axis in axes)
    if count > most:
        sizes = " x ".join(str(len(axis.texts)) for axis in axes)
        raise UsageError(
            f"{f'{sizes} = ' if len(axes) > 1 else ''}{count:,} {what}, and {most:,} are the most",
            where=" ".join(f"{OPTION} {axis.key}" for axis in axes),
            hint="Give fewer values.",
        )
    return list(itertools.product(*(axis.overrides for axis in axes)))


def _items(text: str, start: int) -> Iterator[tuple[int, str]]:
    """What stands between the commas of text[start:], with the index at which each item begins. Raises UsageError."""
    opened: list[int] = []  # indices of brackets that are not closed yet
    quote, quoted_at, fresh, skip = "", 0, True, False
    for index in range(start, len(text) + 1):
        character = text[index : index + 1]
        if skip:
            skip = False
        elif quote:
            skip = character == "\\" and quote == '"'
            quote = "" if character == quote else quote
        elif fresh and character in ("'", '"'):
            quote, quoted_at = character, index
        elif character in _CLOSING:
            opened.append(index)
        elif character in ("]", "}") and (not opened or _CLOSING[text[opened.pop()]] != character):
            _refuse(text, f"{character} closes nothing", index)
        if not character and (quote or opened):
            at = quoted_at if quote else opened[-1]
            _refuse(text, f"{text[at]} is not closed", at)
        if not quote and not opened and character in (",", ""):
            item = text[start:index]
            if not item.strip():
                _refuse(text, f"expected a value, found {repr(character) if character else 'the end'}", index)
            yield start + len(item) - len(item.lstrip()), item.strip()
            start = index + 1
        fresh = character in (",", ":", *_CLOSING) or (fresh and character.isspace())


def _check_value(text: str, key: str, start: int, item: str) -> None:
    try:
        Override.parse(f"{key}={item}")
    except ScenarioError:
        _refuse(text, f"{item} is not YAML", start)


def _range(text: str, key: str, start: int, item: str) -> list[str]:
    """FROM..TO/STEP as the texts of its values. Raises UsageError."""
    match = _RANGE.fullmatch(item)
    if match is None:
        _refuse(text, f"expected a range FROM..TO/STEP with numbers such as 5, 0.5 or 5ms, found {item}", start)
    low, high, step = (Decimal(match[i]) for i in (1, 3, 5))
    before, middle, unit = ("".join(match[i].split()) for i in (2, 4, 6))
    if (before or middle) and not before == middle == unit:
        _refuse(text, f"expected one unit, after the step or after every number, in {item}", start)
    if step <= 0 or high < low:
        _refuse(text, f"expected FROM not above TO, and STEP above 0, in {item}", start)
    if (high - low) / step >= MOST_VALUES:
        _refuse(text, f"{item} has more than {MOST_VALUES:,} values", start)
    unit = unit or ("/s" if key.endswith(".rate") else "")
    return [f"{(low + i * step).normalize():f}{unit}" for i in range(int((high - low) / step) + 1)]


def _written(value: Any) -> str:
    """A value as an item of an axis. Raises UsageError."""
    match value:
        case str():
            plain = _PLAIN.fullmatch(value) and not _BEGINS_AS_RANGE.match(value) and yaml.safe_load(value) == value
            return value if plain else json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            return f"[{', '.join(map(_written, value))}]"
        case Mapping():
            return f"{{{', '.join(f'{_written(key)}: {_written(inner)}' for key, inner in value.items())}}}"
        case None | bool() | int() | float():
            return str(yaml.safe_dump(value)).partition("\n")[0]
    raise UsageError(f"{value!r} cannot stand in a scenario", hint="Numbers, texts, lists and mappings can.")


def _refuse(text: str, what: str, index: int | None = None) -> NoReturn:
    at = "" if index is None else f" (character {index + 1})"
    raise UsageError(f"{what}{at}", where=f"{OPTION} {text}", hint=_EXAMPLE)

"""What a model expected, in the user's words: for the errors of scenarios and of saved documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_VALUE = 60
_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "dataclass_type": "a mapping of keys",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "invalid_key": "text as a key",
}


def expected(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors as "expected a whole number, got 'x'"."""
    kind = error["type"]
    if kind == "missing":
        return "it is missing"
    what = _EXPECTED.get(kind, "").format(**error.get("ctx", {})) or error["msg"].removeprefix("Input should be ")
    return f"expected {what}, got {show(error['input'])}"


def show(value: Any) -> str:
    """A value about as the user wrote it, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def dotted(path: Sequence[str | int]) -> str:
    """A key path as people write it: stages.inference.workers."""
    return ".".join(map(str, path))

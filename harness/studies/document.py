"""What the documents of studies have in common: they are frozen, and written under the keys that readers know."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UsageError

Read = TypeVar("Read", bound="Document")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


Number = Annotated[float | None, AfterValidator(_finite)]
"""A number, or None: JSON has no infinity."""


class Document(BaseModel):
    """A document or a part of one. An attribute may have another key in JSON, see `key`."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, use_attribute_docstrings=True)

    def as_json(self) -> dict[str, Any]:
        """Plain data under the keys of JSON."""
        return self.model_dump(by_alias=True)


def key(name: str) -> Any:
    """The key of an attribute in JSON, where it has another name: `Annotated[float, key("capacity_rps")]`."""
    return Field(validation_alias=name, serialization_alias=name)


def read(kind: type[Read], path: Path, what: str, version: int) -> Read:
    """Read a document of up to this schema_version. what: its kind in errors, such as "a sweep". Raises UsageError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"not {what}: {error}", where=str(path)) from None
    written = found.get("schema_version") if isinstance(found, dict) else None
    if not isinstance(written, int):
        raise UsageError(f"not {what}: it has no schema_version", where=str(path))
    if written > version:
        raise UsageError(
            f"not {what} that is known here: its schema_version is {written}, and this harness reads up to {version}",
            where=str(path),
            hint="It was saved by a newer harness: use that one.",
        )
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise UsageError(f"not {what}: {at}: {first['msg']}", where=str(path)) from None

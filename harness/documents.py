"""Saved documents: JSON that is read, brought up to date, checked, and handed on as a typed model.

Every kind of document (the summary of a run, a comparison, a sweep, ...) has a model and is one `Kind`:

    class Comparison(Document):
        schema_version: int
        name: str

    COMPARISON = Kind("a saved comparison", Comparison)
    found = COMPARISON.read(folder / "comparison.json")      # raises UsageError: file, key path, what was expected
    write_text(folder / "comparison.json", to_json(found.as_json()))

Version 1 of every kind is what 0.1.0 saved. A key that is added has a default and needs no new version. A change that
an older reader would misunderstand does: a function in `steps` then makes a document of the version before into one of
the new version.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from harness.errors import UsageError
from harness.expected import dotted, expected

VERSION = "schema_version"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


Number = Annotated[float | None, AfterValidator(_finite)]
"""A number that may be missing: null. JSON has no infinity and no NaN, which become null too."""


def key(name: str) -> Any:
    """The key of an attribute in the file, where it has another name: `Annotated[float, key("capacity_rps")]`."""
    return Field(validation_alias=name, serialization_alias=name)


DATACLASS = ConfigDict(use_attribute_docstrings=True)
"""`__pydantic_config__` of a plain dataclass that is a part of a document."""


class Document(BaseModel):
    """A frozen mapping of known keys; the docstring of an attribute is its description in the JSON Schema.

    An attribute may have another name than its key in the file, see `key`. Keys that this version does not know are
    kept.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        populate_by_name=True,
        use_attribute_docstrings=True,
        defer_build=True,  # at first use: importing the models is quick
    )

    def as_json(self) -> dict[str, Any]:
        """Plain data under the keys of the file, in their order."""
        return self.model_dump(by_alias=True)


Model = TypeVar("Model", bound=Document)
Step = Callable[[dict[str, Any]], dict[str, Any]]
"""From a document of one version to one of the next."""


@dataclass(frozen=True)
class Kind(Generic[Model]):
    """A kind of document.

    name: what a file of this kind is, as in "not a saved run: ...". steps: the migrations from version 1 to 2, from 2
    to 3, ..., so that the newest version is one more than their number.
    """

    name: str
    model: type[Model]
    steps: tuple[Step, ...] = ()

    @property
    def version(self) -> int:
        """The newest one, in which documents are written."""
        return 1 + len(self.steps)

    def read(self, path: Path) -> Model:
        """The document of a file. Raises UsageError."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise UsageError(f"not {self.name}: {reason}", where=str(path)) from None
        return self.parse(found, str(path))

    def parse(self, found: object, where: str) -> Model:
        """The document that plain data hold, of any version so far. where: its file. Raises UsageError."""
        document = self.migrated(found, where)
        try:
            return self.model.model_validate_json(json.dumps(document), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(
                f"not {self.name}: no proper {dotted(first['loc'])}: {expected(first)}",
                where=where,
                hint="It was changed, or written by something else.",
            ) from None

    def migrated(self, found: object, where: str) -> dict[str, Any]:
        """The same as plain data of the newest version, its keys not yet checked. Raises UsageError."""
        if not isinstance(found, Mapping):
            raise UsageError(f"not {self.name}: it is no mapping of keys", where=where)
        document = dict(found)
        version = document.get(VERSION)
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise UsageError(f"not {self.name}: it has no {VERSION}", where=where)
        if version > self.version:
            raise UsageError(
                f"{self.name} of {VERSION} {version}, and this is known up to {self.version}",
                where=where,
                hint="It was saved by a newer harness: use that one.",
            )
        for step in self.steps[version - 1 :]:
            document = step(document)
        return {**document, VERSION: self.version}

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        return {"$schema": DIALECT, **self.model.model_json_schema(by_alias=True)}

"""What every part of a scenario has in common: strict types, no unknown keys, docstrings that become the schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

MAX_CAPACITY = 16_384  # 4-byte slot numbers for which a pipe of 128 KiB is enough; any user may ask for 1 MiB (pipe(7))
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # of a scenario: names a folder
STAGE_NAME = r"^[a-z][a-z0-9_]*$|^$"
FACTORY = r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$"  # package.module:function


class Keys(BaseModel):
    """A mapping of known keys, frozen."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_serializer(mode="wrap")
    def _without_what_is_not_set(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out a key that is null unless that says something: `resize: null` does."""
        silent = {name for name, field in type(self).model_fields.items() if field.default is None}
        return {key: value for key, value in handler(self).items() if value is not None or key not in silent}


def mapping_of(annotation: Any) -> type[Keys] | None:
    """The kind of mapping that a key of this type may hold; None where it holds none."""
    if isinstance(annotation, type) and issubclass(annotation, Keys):
        return annotation
    return next((found for part in get_args(annotation) if (found := mapping_of(part))), None)


@dataclass(frozen=True)
class FileName:
    """Marks a key that names a file or a folder. words: the values that name none."""

    words: tuple[str, ...] = ()

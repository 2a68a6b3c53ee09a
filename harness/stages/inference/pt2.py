"""Programs of torch.export (.pt2), read so that nothing in them is executed.

torch.export.load unpickles what an archive says is pickled, evaluates expressions of sizes as Python, and looks up
operators by any dotted name. So the archive is looked through first, with torch's own reader, and only tensors,
arithmetic and operators get past.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any

from harness.errors import ScenarioError
from harness.stages.inference.base import first_line

_OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|quantized|quantized_decomposed|torchvision)\.\w+\.\w+"
    r"|torch\.ops\.higher_order\.(cond|while_loop|scan|map_impl|associative_scan|wrap_with_\w+)"
    r"|torch\.sym_\w+|math\.\w+"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)"
)
_EXPRESSION_PARTS = re.compile(r"[A-Za-z_]\w*|'\w+'|\d+(\.\d+)?|[-+*/%(),=<> ]")
_BEFORE_A_BRACKET = {"", *"-+*/%(,=<>"}
_FUNCTIONS = {
    *("Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Mod", "Min", "Max", "Abs", "floor", "ceiling"),
    *("Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "LessThan", "GreaterThan"),
    *("StrictLessThan", "StrictGreaterThan", "And", "Or", "Not", "Piecewise"),
    *("FloorDiv", "CleanDiv", "CeilDiv", "PythonMod", "ModularIndexing", "Where", "IntTrueDiv", "FloatTrueDiv"),
    *("ToFloat", "TruncToInt", "CeilToInt", "FloorToInt", "RoundToInt", "PowByNatural", "FloatPow", "LShift", "RShift"),
}


def load(path: str) -> Any:
    """The ExportedProgram in a file. Raises ScenarioError when it is none, or holds more than tensors and operators."""
    import torch
    from torch.export.pt2_archive import PT2ArchiveReader

    where = "stages.inference.model.export"
    try:
        with PT2ArchiveReader(path) as reader:
            found = next(_more_than_tensors(reader), None)
    except Exception as error:  # what a file of any content can raise in torch is not bounded
        raise ScenarioError(f"{path} is no program of torch.export: {first_line(error)}", where=where) from None
    if found is not None:
        raise ScenarioError(
            f"{path} is refused: {found}",
            where=where,
            hint="It would be executed. Export the model anew with torch.export.save.",
        )
    before = os.environ.get("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        return torch.export.load(path)
    except Exception as error:
        raise ScenarioError(f"{path} is no program of torch.export: {first_line(error)}", where=where) from None
    finally:
        if before is None:
            del os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]
        else:
            os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = before


def _more_than_tensors(reader: Any) -> Iterator[str]:
    """What in an archive could run code when it is loaded or called; empty when nothing can."""
    for name in reader.get_file_names():
        if re.search(r"/(opaque|custom)_obj", name):
            yield f"{name} holds an object of Python"
        if name.startswith("models/"):
            yield from _of_a_model(json.loads(reader.read_string(name)))


def _of_a_model(program: Any) -> Iterator[str]:
    for key, value in _texts(program):
        if key in ("target", "as_operator") and "." in value and not _OPERATOR.fullmatch(value):
            yield f"{value!r} is no operator of torch"
        if key == "expr_str" and not _is_arithmetic(value):
            yield f"{value[:60]!r} is no arithmetic of sizes"


def _texts(data: Any) -> Iterator[tuple[str, str]]:
    """Every text in nested JSON, with its key."""
    pending = [data]
    while pending:
        part = pending.pop()
        pairs = (
            part.items()
            if isinstance(part, dict)
            else ((("", item) for item in part) if isinstance(part, list) else ())
        )
        for key, value in pairs:
            if isinstance(value, str):
                yield key, value
            else:
                pending.append(value)


def _is_arithmetic(expression: str) -> bool:
    """Whether it holds only numbers, names, operators and calls of known functions by their name."""
    before = ""
    position = 0
    while position < len(expression):
        part = _EXPRESSION_PARTS.match(expression, position)
        if part is None:
            return False
        if part[0] == "(" and before not in _FUNCTIONS and before not in _BEFORE_A_BRACKET:
            return False
        before = part[0] if part[0] != " " else before
        position = part.end()
    return True

"""The reference of the Python API as Markdown, made of signatures and docstrings.

python -m harness.api.reference > docs/reference.md
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import harness

HEAD = """\
# The Python API, name by name

Made of the docstrings by `python -m harness.api.reference > docs/reference.md`. [The guide](api.md) shows how the names
work together. Every error is a `HarnessError`, but `Interrupted` and, of `harness.twin`, `ValueError`.

| argument | what may be given |
|---|---|
| `ScenarioLike` | the name of a scenario (in the working directory, in ./scenarios, or one that comes with the package), the path of a file, a mapping with the keys of such a file, or a `Scenario` |
| `Overrides` | what is set over it: `{"load.rate": "20/s", "stages.inference.batch.max": 4}`, or `["load.rate=20/s"]` |
| `Vary` | keys and the values that each takes in turn: `{"stages.inference.batch.max": [1, 2, 4]}`, or texts as `--vary` takes them: `["load.rate=10..50/10/s"]`; several make all combinations |
| `out` | the folder of all results: `results` in the working directory |
"""  # noqa: E501
GROUPS = {
    "Runs": ("run", "Run", "open_run", "runs"),
    "Scenarios": ("load_scenario", "Scenario"),
    "Studies": (
        *("compare", "Comparison", "sweep", "resume_sweep", "open_sweep", "Sweep", "capacity", "open_search", "Search"),
        *("simulate", "Forecast", "crosscheck", "Crosscheck", "accuracy", "Accuracy"),
    ),
    "The twin, for studies of queues": ("twin",),
    "Errors": (
        *("Interrupted", "HarnessError", "UsageError", "ScenarioError", "RunFailed", "StageFailed", "StalledError"),
        *("SaveError",),
    ),
}
"""The order of the page; a public name that stands in no group stands at the end."""
ELSEWHERE = {"Scenario": "[scenario.md](scenario.md) has every key."}
OF_THE_TWIN = ("simulate", "Stamps")
WIDTH = 100


def page() -> str:
    """The page: every name of `harness.__all__`."""
    grouped = {name for names in GROUPS.values() for name in names}
    groups = {**GROUPS, "More": tuple(name for name in harness.__all__ if name not in grouped)}
    parts = [HEAD]
    for title, names in groups.items():
        there = [name for name in names if name in harness.__all__]
        if there:
            parts.append(f"## {title}\n")
            parts += [part for name in there for part in _entry(f"harness.{name}", getattr(harness, name))]
    return "\n".join(parts)


def _entry(path: str, value: Any) -> Iterator[str]:
    """The section of a public name; of a module, those of its own public functions and classes."""
    if inspect.ismodule(value):
        for inner in OF_THE_TWIN:
            yield from _entry(f"{path}.{inner}", getattr(value, inner))
        return
    yield f"### {path}\n"
    name = path.rpartition(".")[2]
    if inspect.isfunction(value):
        yield f"```\n{_signature(name, value)}\n```\n"
        yield _text(value)
    else:
        yield _text(value)
        yield from [f"{ELSEWHERE[name]}\n"] if name in ELSEWHERE else _members(value)


def _members(owner: type) -> Iterator[str]:
    """What it has of its own: fields, which its docstring explains, properties and methods."""
    fields = [f"`{f.name}: {f.type}`" for f in (dataclasses.fields(owner) if dataclasses.is_dataclass(owner) else ())]
    if fields:
        yield f"Fields: {', '.join(fields)}.\n"
    for name, member in vars(owner).items():
        if name.startswith("_"):
            continue
        function = getattr(member, "func", None) or getattr(member, "fget", None)
        if function is not None:
            yield f"**`{name}: {inspect.signature(function).return_annotation}`**\n\n{_text(function)}"
        elif inspect.isfunction(member):
            yield f"**`{_signature(name, member)}`**\n\n{_text(member)}"


def _signature(name: str, function: Callable[..., Any]) -> str:
    """As in the source, one parameter a line where they do not fit into one."""
    signature = inspect.signature(function)
    parameters, starred = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parameters.append("*")
        starred = starred or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        if parameter.name != "self":
            parameters.append(_parameter(parameter))
    line = f"{name}({', '.join(parameters)}) -> {signature.return_annotation}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {p}," for p in parameters), f") -> {signature.return_annotation}"])


def _parameter(parameter: inspect.Parameter) -> str:
    star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{star}{parameter.name}: {parameter.annotation}{default}"


def _text(value: Any) -> str:
    return (inspect.getdoc(value) or "").strip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())

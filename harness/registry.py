"""What a scenario names and a module implements: kinds of stages, arrival processes, executors.

Each registry knows its names at once and imports the module behind a name when it is asked for. The project's own kinds
are listed below. A package of yours adds others by entry points of the registry's group, named as scenarios name them:

    [project.entry-points."harness.stages"]
    argmax = "my_package.argmax:Argmax"
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness.errors import PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Kind = TypeVar("Kind")


class Registry(Generic[Kind]):
    """Kinds by name, in order: the project's own, then those of plug-ins.

    group: of the entry points. noun: what a kind is, for errors. base: `module:Class` that each is a subclass or an
    instance of. tag: the key of a class that holds its name. own: name -> `module:attribute`.
    """

    def __init__(self, group: str, noun: str, base: str, tag: str, own: Mapping[str, str]) -> None:
        self.group, self.noun = group, noun
        self._base, self._tag, self._own = base, tag, own
        self._loaded: dict[str, Kind | PluginError] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All names, whether what is behind them can be loaded or not."""
        return (*self._own, *(name for name in sorted(self._plugins) if name not in self._own))

    @cached_property
    def kinds(self) -> dict[str, Kind]:
        """Name -> kind, of all that can be loaded."""
        return {name: kind for name in self.names if not isinstance(kind := self._get(name), PluginError)}

    @property
    def distributions(self) -> list[tuple[str, str]]:
        """Name and version of the packages with an entry point of this group."""
        found = [point.dist for points in self._plugins.values() for point in points]
        return sorted((dist.name, dist.version) for dist in found if dist)

    def __getitem__(self, name: str) -> Kind:
        """Raises PluginError for one that cannot be loaded, KeyError for a name that nothing has."""
        kind = self._get(name)
        if isinstance(kind, PluginError):
            raise kind
        return kind

    def problem(self, name: object) -> str:
        """Why a plug-in of this name cannot be used; empty if it can, or if there is none."""
        error = self._get(name) if isinstance(name, str) and name in self._plugins else None
        return f"{error.what}. {error.hint}" if isinstance(error, PluginError) else ""

    @cached_property
    def _plugins(self) -> dict[str, list[EntryPoint]]:
        """Name -> the entry points that claim it. Reads the metadata of all installed packages: some milliseconds."""
        from importlib.metadata import entry_points

        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            if point not in (points := found.setdefault(point.name, [])):
                points.append(point)
        return found

    def _get(self, name: str) -> Kind | PluginError:
        if name not in self._loaded:
            try:
                self._loaded[name] = self._load(name)
            except PluginError as error:
                self._loaded[name] = error
        return self._loaded[name]

    def _load(self, name: str) -> Kind:
        points = self._plugins.get(name, [])
        if len(points) + (name in self._own) > 1:
            owners = [*(["harness"] if name in self._own else []), *map(_distribution, points)]
            raise PluginError(
                f"{self.noun} {name!r} is defined twice: by {' and by '.join(owners)}",
                hint="Uninstall one of them, or have its author take another name.",
            )
        if not points:
            return attribute(self._own[name])  # type: ignore[no-any-return]
        return self._plugin(points[0])

    def _plugin(self, point: EntryPoint) -> Kind:
        try:
            loaded = point.load()
            problem = self._unfit(point.name, loaded)
        except Exception as error:  # whatever a plug-in's module raises while it is imported
            lines = [line for line in str(error).splitlines() if line.strip()]
            problem = f"cannot be loaded: {type(error).__name__}" + (f": {lines[0]}" if lines else "")
        if problem:
            raise PluginError(
                f"{self.noun} {point.name!r} of {_distribution(point)} {problem}",
                where=f"entry point {self.group}: {point.name} = {point.value}",
                hint="Repair or uninstall that package.",
            )
        return loaded  # type: ignore[no-any-return]

    def _unfit(self, name: str, loaded: Any) -> str:
        """Why what an entry point names cannot be one of these; empty if it can."""
        base = attribute(self._base)
        if not (isinstance(loaded, base) or (isinstance(loaded, type) and issubclass(loaded, base))):
            return f"is no {base.__name__} of {base.__module__}"
        if missing := sorted(getattr(loaded, "__abstractmethods__", ())):
            return f"lacks {' and '.join(missing)}"
        if self._tag:
            key = getattr(loaded, "model_fields", {}).get(self._tag)
            if key is None or key.default != name:
                return f"lacks the key `{self._tag}: Literal[{name!r}] = {name!r}`"
        return ""


def attribute(path: str) -> Any:
    """What `module:name` names; the module is imported now."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _distribution(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


STAGES: Registry[Any] = Registry(
    "harness.stages",
    "stage",
    "harness.stages.options:StageOptions",
    "kind",
    {
        "preprocess": "harness.stages.preprocess:Preprocess",
        "inference": "harness.stages.inference.options:Inference",
        "postprocess": "harness.stages.postprocess:Postprocess",
        "null": "harness.stages.null:Null",
        "delay": "harness.stages.delay:Delay",
    },
)
ARRIVALS: Registry[Any] = Registry(
    "harness.arrivals",
    "arrivals",
    "harness.arrivals.base:OpenLoad",
    "arrivals",
    {
        "constant": "harness.arrivals.renewal:Constant",
        "poisson": "harness.arrivals.renewal:Poisson",
        "gamma": "harness.arrivals.renewal:Gamma",
        "bursts": "harness.arrivals.bursts:Bursts",
        "trace": "harness.arrivals.trace:Trace",
        "closed": "harness.arrivals.closed:Closed",
    },
)
EXECUTORS: Registry[Any] = Registry(
    "harness.executors",
    "executor",
    "harness.executors.kind:ExecutorKind",
    "",
    {"process": "harness.executors.process:KIND", "asyncio": "harness.executors.asyncio:KIND"},
)
REGISTRIES = (STAGES, ARRIVALS, EXECUTORS)


def plugins() -> dict[str, str]:
    """The installed packages that bring any, with their versions; none of them is imported."""
    return {name: version for registry in REGISTRIES for name, version in registry.distributions}

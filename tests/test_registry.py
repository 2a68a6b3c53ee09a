"""What scenarios name is found, the project's own and plug-ins'; of one that cannot be used the package is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BAD_USAGE, PluginError
from harness.executors.kind import ExecutorKind
from harness.registry import ARRIVALS, EXECUTORS, STAGES, Registry
from tests.documents import ROOT

GOOD = """
from typing import Literal
from harness.stages import StageOptions

class Good(StageOptions):
    kind: Literal["good"] = "good"

    def spec(self, given):
        raise NotImplementedError

    def build(self, context):
        raise NotImplementedError
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution with a module and entry points on the path."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, points: dict[str, str], code: str = GOOD, group: str = "harness.stages") -> None:
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-2.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.5\n")
        lines = "".join(f"{point} = {value}\n" for point, value in points.items())
        (info / "entry_points.txt").write_text(f"[{group}]\n{lines}")

    return install


def fresh() -> Registry[Any]:
    """The registry of stages as a new process would have it."""
    own = {name: f"{kind.__module__}:{kind.__name__}" for name, kind in STAGES.kinds.items()}
    return Registry("harness.stages", "stage", "harness.stages.options:StageOptions", "kind", own)


def test_the_projects_own_kinds_are_what_they_are_called() -> None:
    assert {name: kind.model_fields["kind"].default for name, kind in STAGES.kinds.items()} == {
        n: n for n in STAGES.names
    }
    assert {n: kind.model_fields["arrivals"].default for n, kind in ARRIVALS.kinds.items()} == {
        n: n for n in ARRIVALS.names
    }
    assert all(isinstance(kind, ExecutorKind) for kind in EXECUTORS.kinds.values())
    with pytest.raises(KeyError):
        STAGES["neither"]


def test_a_plugin_stands_behind_the_own_kinds_under_its_name(install: Install) -> None:
    install("zeta", {"good": "zeta:Good"})
    registry = fresh()
    assert registry.names == (*STAGES.names, "good") and list(registry.kinds) == list(registry.names)
    assert registry["good"].model_fields["kind"].default == "good"
    assert registry.distributions == [("zeta", "2.5")]


def test_a_plugin_is_imported_when_it_is_asked_for(install: Install) -> None:
    install("lazy_plugin", {"good": "lazy_plugin:Good"})
    registry = fresh()
    assert "good" in registry.names and "lazy_plugin" not in sys.modules
    assert not registry.problem("null")
    assert "lazy_plugin" not in sys.modules
    assert not registry.problem("good")
    assert "lazy_plugin" in sys.modules


@pytest.mark.parametrize(
    ("code", "value", "why"),
    [
        (
            "import not_installed_at_all",
            "X",
            "cannot be loaded: ModuleNotFoundError: No module named 'not_installed_at_all'",
        ),
        ("raise SystemError('first\\nsecond')", "X", "cannot be loaded: SystemError: first"),
        ("def f(:", "X", "cannot be loaded: SyntaxError"),
        ("", "Missing", "cannot be loaded: AttributeError"),
        ("Good = 3", "Good", "is no StageOptions of harness.stages.options"),
        (GOOD.replace('"good"', '"other"'), "Good", "lacks the key `kind: Literal['good'] = 'good'`"),
        (GOOD.replace("kind: ", "sort: "), "Good", "lacks the key `kind: Literal['good'] = 'good'`"),
        (GOOD.replace("def spec", "def specify"), "Good", "lacks spec"),
        ("from harness.stages import StageOptions as Good", "Good", "lacks build and spec"),
    ],
    ids=["import", "raises", "syntax", "attribute", "type", "tag", "no_tag", "method", "methods"],
)
def test_one_that_cannot_be_used_is_an_error_with_its_name_and_version(
    install: Install, code: str, value: str, why: str, request: pytest.FixtureRequest
) -> None:
    module = f"bad_{request.node.callspec.id}"
    install(module, {"good": f"{module}:{value}"}, code)
    registry = fresh()
    assert "good" not in registry.kinds and list(registry.kinds) == list(STAGES.kinds), "others work"
    for _ in range(2):
        with pytest.raises(PluginError) as caught:
            registry["good"]
        assert f"stage 'good' of {module} 2.5 {why}" in caught.value.what
        assert caught.value.where == f"entry point harness.stages: good = {module}:{value}"
        assert caught.value.exit_code == BAD_USAGE and caught.value.hint
        assert caught.value.what in registry.problem("good")


@pytest.mark.parametrize("name", ["good", "null"])
def test_a_name_that_two_define_is_refused(install: Install, name: str) -> None:
    install("one", {name: "one:Good"})
    if name == "good":
        install("two", {name: "two:Good"})
    registry = fresh()
    assert registry.names.count(name) == 1 and name not in registry.kinds
    owners = "one 2.5 and by two 2.5" if name == "good" else "harness and by one 2.5"
    with pytest.raises(PluginError, match=f"stage '{name}' is defined twice: by {owners}"):
        registry[name]


SCENARIO = {"name": "plugged", "load": {"arrivals": "closed", "requests": 3, "warmup": 0}, "stages": ["null"]}
NAMING = {
    "stage": {"stages": ["bad"]},
    "arrivals": {"load": {"arrivals": "bad", "requests": 3}},
    "executor": {"executor": "bad"},
}


@pytest.fixture
def broken(tmp_path: Path, install: Install) -> Path:
    """A folder with a package all of whose plug-ins are broken."""
    install("broken_package", {"bad": "broken_package:X"}, "raise OSError('no licence')")
    for group in ("harness.arrivals", "harness.executors"):
        with (tmp_path / "broken_package-2.5.dist-info" / "entry_points.txt").open("a") as file:
            file.write(f"[{group}]\nbad = broken_package:X\n")
    return tmp_path


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_only_scenarios_that_name_a_broken_plugin_notice_it(broken: Path) -> None:
    (broken / "fine.yaml").write_text(json.dumps(SCENARIO))
    for noun, keys in NAMING.items():
        (broken / f"{noun}.yaml").write_text(json.dumps({**SCENARIO, **keys}))
    done = python(broken, "-m", "harness", "validate", "fine.yaml", *(f"{noun}.yaml" for noun in NAMING))
    assert done.returncode == BAD_USAGE and "fine.yaml: ok" in done.stdout and "Traceback" not in done.stderr
    for noun in NAMING:
        assert f"\n{noun}.yaml:1: " in f"\n{done.stderr}"
        assert f": {noun} 'bad' of broken_package 2.5 cannot be loaded: OSError: no licence" in done.stderr


def test_help_reads_no_entry_points(broken: Path) -> None:
    code = """
import atexit, json, sys
sys.argv[1:] = ["--help"]
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from harness.__main__ import main
main()
"""
    done = python(broken, "-c", code)
    loaded = set(json.loads(done.stderr))
    assert done.returncode == 0 and "harness.commands" in loaded
    assert not loaded & {"harness.registry", "importlib.metadata", "broken_package", "pydantic"}

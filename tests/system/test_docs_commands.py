"""The commands that README and docs name in tables and sentences do what they are named for.

They are run as they stand, in the order of the page, in a folder whose scenarios are those of the checkout made short:
a few requests and small images. What is printed by the blocks marked `console` is test_docs.py's to compare. Those of
the README that show or model a run are run always, all but those that take minutes with `-m slow`, all pages' with

    pytest -m study tests/system/test_docs_commands.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command import typed
from tests.documents import PAGES, ROOT, blocks, examples
from tests.system.test_docs import mentioned

MINUTES = ("harness capacity", "harness sweep", "harness selftest")
ON_A_RUN = tuple(f"harness {verb} " for verb in ("simulate", "crosscheck", "report", "trace"))
PLACEHOLDER = re.compile(r"\b(RUN|FILE|FOLDER|SCENARIO)\b|\.\.\.")
NOT_MET = 3
"""An SLO, a verdict or a limit that was not met: few requests on any machine decide nothing."""
RESNET = "harness run scenarios/resnet18_cpu.yaml --quiet"
AT_ONE_RATE = f"{RESNET} --set load.rate=60/s"
BEFORE = {
    "harness compare last~1 last": (AT_ONE_RATE, AT_ONE_RATE),
    "harness accuracy build/digits": ("python -m examples.digits.train build/digits",),
    "harness sweep --show last": ("harness sweep scenarios/mm1.yaml --vary load.rate=20/s --quiet",),
}
"""What a reader has done before, besides a first run."""


def shortened(document: dict[str, Any]) -> dict[str, Any]:
    """A scenario that says the same about few requests; they make more than the 50 batches that a profile samples."""
    load = {**document["load"], "requests": 240, "warmup": 2}
    if "utilisation" in load:
        load["calibration"] = "300 ms"
    stages = [
        {kind: {**options, "resize": 72, "crop": 64}} if kind == "preprocess" else {kind: options}
        for stage in document["stages"]
        for kind, options in stage.items()
    ]
    return {**document, "load": load, "stages": stages}


def named(page: Path) -> list[str]:
    """The commands of a page that can be run as they stand, each once, but for those of console blocks."""
    shown = {e.command.replace("\\\n", "") for b in blocks(page) if b.language == "console" for e in examples(b)}
    found = [text for text in mentioned(page) if text.startswith("harness ") and text not in shown]
    whole = [text for text in found if len(text.split()) > 2 or text.split()[1] in ("doctor", "selftest")]
    return [text for text in dict.fromkeys(whole) if not PLACEHOLDER.search(text) and "> " not in text.split("'")[0]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    for path in (ROOT / "scenarios").glob("*.yaml"):
        text = yaml.safe_dump(shortened(yaml.safe_load(path.read_text())), sort_keys=False)
        (folder / path.name).write_text(text)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name in ("before.yaml", "after.yaml"):
        (tmp_path / name).write_text((folder / "smoke.yaml").read_text())
    return tmp_path


def call(command: str, folder: Path) -> None:
    done = typed(command, folder)
    print(f"$ {command}\n{done.stdout}")
    assert done.returncode in (0, NOT_MET), f"$ {command}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    assert done.stdout or done.stderr


def go_through(commands: list[str], folder: Path, first: str = RESNET) -> None:
    call(first, folder)
    for command in commands:
        for beginning, others in BEFORE.items():
            for other in others if command.startswith(beginning) else ():
                call(other, folder)
        call(command, folder)


@pytest.mark.slow
def test_the_readme_s_commands_on_a_run_do_what_they_are_named_for(place):
    commands = [command for command in named(ROOT / "README.md") if command.startswith(ON_A_RUN)]
    assert {command.split()[1] for command in commands} == {verb.split()[1] for verb in ON_A_RUN}
    go_through(commands, place, f"{RESNET} --requests 60")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_commands_of_the_readme_do_what_they_are_named_for(place):
    commands = named(ROOT / "README.md")
    assert len(commands) > 15
    go_through([command for command in commands if not command.startswith(MINUTES)], place)


@pytest.mark.study
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in PAGES if named(page)], ids=lambda page: page.name)
def test_all_commands_of_a_page_do_what_they_are_named_for(page, place):
    go_through(named(page), place)

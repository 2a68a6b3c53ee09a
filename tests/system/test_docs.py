"""README, docs and CONTRIBUTING do what they say: their commands are run, their Python too, their output compared.

The pages' longer examples, the tutorial's among them: pytest -m study tests/system/test_docs.py (some minutes).
Those of some seconds: pytest -m slow tests/system/test_docs.py.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from harness.commands import VERBS, cli
from harness.report.exports.reference import reference
from harness.scenario import load, schema
from tests.command import typed
from tests.documents import PAGES, ROOT, Example, blocks, examples

# extending.md changes the project first: test_extending.py
CONSOLE = [p for p in PAGES if p.stem != "extending" and any(block.language == "console" for block in blocks(p))]
STUDIES = [page for page in CONSOLE if any(block.study for block in blocks(page))]


def checkout(folder: Path) -> Path:
    """A folder that looks like a fresh clone to the commands of a page; what they write stays in it."""
    (folder / "scenarios").symlink_to(ROOT / "scenarios")
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    (folder / "docs" / "images").mkdir(parents=True)
    return folder


def call(example: Example, folder: Path) -> str:
    done = typed(example.command, folder)
    assert done.returncode == 0, f"$ {example.command}\n{done.stdout}{done.stderr}"
    return done.stdout or done.stderr


def go_through(page: Path, folder: Path, *, studies: bool) -> None:
    for block in blocks(page):
        if block.language in ("yaml", "python") and block.info.strip():
            (folder / block.info.strip()).write_text(block.text)
        if block.language != "console" or (block.study and not studies):
            continue
        for example in examples(block):
            output = call(example, folder)
            assert example.matches(output), f"{page.name}:{block.line}: $ {example.command}\nprints\n{output}"


LONG = ("api.md", "queueing.md", "report.md", "sweep.md", "twin.md")
"""Pages whose commands simulate 100,000 requests each, or measure for some seconds, for the figures that they show."""


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] if page.name in LONG else [], id=page.name) for page in CONSOLE],
)
def test_the_commands_of_a_page_print_what_it_shows(page, tmp_path):
    go_through(page, checkout(tmp_path), studies=False)


@pytest.mark.study
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", STUDIES, ids=lambda page: page.name)
def test_a_strangers_way_through_a_page(page, tmp_path):
    go_through(page, checkout(tmp_path), studies=True)


def test_an_example_is_compared_to_the_letter_but_for_what_is_left_out():
    example = Example("x", "p50 ... ms\n...\nend\n")
    assert example.matches("p50 1.5 ms\nmore\nend\n")
    assert not example.matches("p50 1.5 ms\nmore\nen\n")
    assert not Example("x", "a\n").matches("a\nb\n")


# What is mentioned, exists

INLINE = re.compile(r"`(harness [^`]+|python -m [^`]+)`")
OURS = ("harness ", "python -m harness.", "python -m benchmarks.")


def mentioned(page: Path) -> list[str]:
    """Our commands in the text, in tables and in blocks."""
    text = page.read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line.removeprefix("$ ") for line in text.splitlines()]
    return [command for command in (*INLINE.findall(text), *lines) if command.startswith(OURS)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_mentions_exists(page):
    verbs = {name for group in VERBS.values() for name in group}
    for text in mentioned(page):
        words = shlex.split(text, comments=True)
        if words[0] == "python":
            module = words[2].replace("harness.kernels", "kernels").replace(".", "/")
            assert (ROOT / f"{module}.py").exists() or (ROOT / module / "__main__.py").exists(), text
            continue
        if words[1].startswith("-"):
            continue
        assert words[1] in verbs, f"{page.name}: {text}"
        command = cli.get_command(click.Context(cli), words[1])
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        before = words[: next((i for i, word in enumerate(words) if word in ("|", ">", "&&", ";", "2>&1")), len(words))]
        given = {word.partition("=")[0] for word in before if re.match(r"--?[a-z]", word)}
        assert given <= known | {"--help", "-h"}, f"{page.name}: {text}"


LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_links_to_exists(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


# Pages that are made


def test_the_scenario_reference_is_the_schemas():
    assert (ROOT / "docs" / "scenario.md").read_text(encoding="utf-8") == reference(schema())


def test_the_reference_has_every_key():
    text = reference(schema())
    document = schema()
    keys = [key for definition in (document, *document["$defs"].values()) for key in definition["properties"]]
    assert {key for key in keys if f"| `{key}` |" not in text and key != "arrivals"} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_scenario_that_a_page_shows_is_valid(page, tmp_path):
    for block in blocks(page):
        if block.language == "yaml" and not block.info and re.search(r"^stages:", block.text, re.MULTILINE):
            file = tmp_path / f"line{block.line}.yaml"
            file.write_text(block.text)
            load(file)

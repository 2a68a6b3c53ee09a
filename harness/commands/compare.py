"""`harness compare`: variants in interleaved blocks, two saved runs, or a saved comparison again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness import interruption
from harness.commands import options
from harness.errors import NOT_MET, HarnessError, UsageError

if TYPE_CHECKING:
    from harness.studies.compare.document import ComparisonDocument
    from harness.studies.compare.running import ComparisonResult, Question
    from harness.studies.variants import Variant

LETTERS = ("a", "b", "c", "d")


def _side_option(letter: str) -> Callable[[Any], Any]:
    text = f"Set a key for side {letter} alone; repeatable."
    return click.option(f"--{letter}", multiple=True, metavar="KEY=VALUE", help=text)


@click.command("compare")
@click.argument("what", nargs=-1, required=True, metavar="SCENARIO... | RUN RUN | FOLDER")
@_side_option("a")
@_side_option("b")
@_side_option("c")
@_side_option("d")
@options.vary("A side for each value.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a key for all sides; repeatable.")
@click.option(
    "--blocks",
    type=click.IntRange(2, 1000),
    help="Blocks of each side.  [default: 10, or the next number for which each side goes first equally often]",
)
@click.option(
    "--requests",
    type=click.IntRange(min=1),
    help="Measured requests of a side, in all blocks together.  [default: those of the load]",
)
@click.option(
    "--margin",
    type=options.Share(0.0001, 0.9999),
    default="5%",
    show_default=True,
    help="The smallest difference that matters.",
)
@click.option(
    "--confidence",
    type=options.Share(0.0001, 0.9999),
    default="95%",
    show_default=True,
    help="Confidence of all intervals together.",
)
@click.option(
    "--tolerance",
    multiple=True,
    metavar="WHAT=X",
    help="How far outputs may differ: tensor=0.05 (default), logits=X, top1=0.99; or none. Repeatable.",
)
@click.option(
    "--images",
    type=click.IntRange(0, 4096),
    default=16,
    show_default=True,
    help="Images to compare outputs on; 0: none.",
)
@click.option(
    "--fail-if", multiple=True, metavar="LIMIT", help="Exit code 3 if so, such as 'e2e.p99 > +5%'; repeatable."
)
@click.option(
    "--force",
    cls=options.Renamed,
    former=["--even-so"],
    is_flag=True,
    help="Compare RUNs also when they differ in what affects the figures.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Short for --set load.seed=N.")
@options.out("results are")
@click.option("--json", "json_to", metavar="PATH", help="Write the result as JSON to a file, or to - and nothing else.")
def command(
    what: tuple[str, ...], vary: tuple[str, ...], settings: tuple[str, ...], blocks: int | None, requests: int | None,
    margin: float, confidence: float, tolerance: tuple[str, ...], images: int, fail_if: tuple[str, ...],
    force: bool, seed: int | None, out: Path, json_to: str | None, **own: tuple[str, ...],
) -> None:  # fmt: skip
    """Compare two or more variants, scenarios or runs: which is faster, by how much, and how sure is that?

    \b
    Example:
      harness compare scenarios/resnet18_cpu.yaml --a stages.preprocess.backend=torchvision
          --b stages.preprocess.backend=numba
      harness compare scenarios/resnet18_cpu.yaml --vary stages.inference.batch.max=1,2,4 --requests 2000
      harness compare before.yaml after.yaml --fail-if 'e2e.p99 > +5%'
      harness compare last~1 last

    Scenarios run in interleaved blocks, with the same arrivals and images, all pipelines open at once. First their
    outputs for the same images are compared. Every further side is compared with the first. RUN: a folder, last,
    last~1, or a scenario's name. FOLDER: a saved comparison, which is shown again.
    """
    from harness.commands import output

    output.check_json(json_to)
    files = [reference.endswith((".yaml", ".yml")) for reference in what]
    sides_given = any(own.values()) or bool(vary)
    if any(files) or sides_given:
        if not all(files) and len(what) > 1:
            raise UsageError("expected scenario files or RUNs, not both", where=" ".join(what))
        from harness.studies.compare.equivalence import Tolerance
        from harness.studies.compare.running import Question

        question = Question(margin, confidence, (), Tolerance.parse(tolerance), images)
        common = (*settings, *([f"load.seed={seed}"] if seed is not None else []))
        asked = _variants(what, common, own, vary)
        _scenarios(asked, blocks, requests, question, fail_if, out, json_to)
        return
    measured = {"--set": settings, "--requests": requests, "--tolerance": tolerance, "--seed": seed is not None}
    for name, given in measured.items():
        if given:
            raise UsageError(f"{name} goes with scenarios, and these are saved runs", where=" ".join(what))
    if len(what) == 1:
        _again(what[0], json_to)
    elif len(what) == 2:
        _runs(what, margin, confidence, fail_if, force, out, json_to)
    else:
        raise UsageError("expected two RUNs", where=" ".join(what))


def _variants(
    what: Sequence[str], common: Sequence[str], own: dict[str, tuple[str, ...]], vary: Sequence[str]
) -> list[Variant]:
    """The variants that the command line names. Raises UsageError."""
    from harness.scenario import combinations, find, parse_axes
    from harness.studies.compare.sides import MOST_SIDES, plan_side

    paths = [find(reference) for reference in what]
    given = [letter for letter in LETTERS if own[letter]]
    if len(paths) > 1:
        if given or vary:
            raise UsageError("--a, --b, ... and --vary go with one scenario", hint="Use --set for all sides.")
        return [plan_side(path, common, (), "--set", label=path.stem) for path in paths]
    if vary:
        if given:
            raise UsageError("--vary and --a, --b, ... exclude one another")
        each = combinations(parse_axes(vary), MOST_SIDES, "sides")
        return [plan_side(paths[0], common, overrides, "--vary") for overrides in each]
    if not given or given == ["a"]:
        raise UsageError(
            "there is nothing to compare it with",
            where=str(paths[0]),
            hint="Give --b KEY=VALUE (and --a), --vary KEY=A,B, or a second scenario.",
        )
    last = LETTERS.index(given[-1])
    missing = [letter for letter in LETTERS[1:last] if not own[letter]]
    if missing:
        raise UsageError(f"--{given[-1]} is given, and --{missing[0]} is not")
    return [plan_side(paths[0], common, own[letter], f"--{letter}") for letter in LETTERS[: last + 1]]


def _scenarios(
    variants: Sequence[Variant], blocks: int | None, requests: int | None, question: Question,
    fail_if: tuple[str, ...], out: Path, json_to: str | None,
) -> None:  # fmt: skip
    from harness.api.comparing import compare_scenarios

    compared = compare_scenarios(variants, blocks, requests, question, fail_if, out, progress=True)
    _deliver(compared.document, json_to, compared.error)
    _exit_code(compared)


def _exit_code(compared: ComparisonResult) -> None:
    if compared.blocks is None:
        raise SystemExit(NOT_MET)
    if compared.signal:
        raise SystemExit(interruption.exit_code(compared.signal))
    if any(judged.failed for judged in compared.document.gate):
        raise SystemExit(NOT_MET)


def _runs(
    what: Sequence[str], margin: float, confidence: float, fail_if: Sequence[str], force: bool, out: Path,
    json_to: str | None,
) -> None:  # fmt: skip
    from harness import store
    from harness.api.comparing import compare_saved

    a, b = (store.find(reference, out) for reference in what)
    document = compare_saved(a, b, margin, confidence, fail_if, force=force)
    _deliver(document, json_to)
    if any(judged.failed for judged in document.gate):
        raise SystemExit(NOT_MET)


def _again(reference: str, json_to: str | None) -> None:
    from harness.studies.compare import folder

    _deliver(folder.load(Path(reference)), json_to)


def _deliver(document: ComparisonDocument, json_to: str | None, error: HarnessError | None = None) -> None:
    """Show a comparison and write it as JSON, then raise the error that it ended with."""
    from harness import store
    from harness.commands import output

    unwritten = None
    if json_to == "-":
        output.say(store.to_json(document.as_json()))
    else:
        from harness.report.screens import compare as report

        report.show(output.screen(), document)
        if json_to is not None:
            unwritten = output.write_json(json_to, store.to_json(document.as_json()), "comparison")
    if unwritten is not None and error is not None:
        output.tell(f"error: {unwritten}")  # the other one is told last, and decides the exit code
    failed = error or unwritten
    if failed is not None:
        raise failed

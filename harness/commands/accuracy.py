"""`harness accuracy`: are its predictions right, and are they those of the reference?"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness import interruption
from harness.commands import options
from harness.errors import NOT_MET, UsageError

if TYPE_CHECKING:
    from harness.studies.accuracy import Evaluation


@click.command("accuracy")
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), metavar="FOLDER", help="Images, with a folder for each class.")
@click.option(
    "--classes", "class_map", type=click.Path(path_type=Path), metavar="FILE", help="Which folder is which class."
)
@click.option("--unlabelled", is_flag=True, help="Folders are not classes: agreement only.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set any key of the scenario; repeatable.")
@options.vary("A variant for each value.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="N of the images, drawn with the load's seed.")
@click.option(
    "--min-top1",
    type=options.Share(),
    metavar="SHARE",
    help="Limit: least top-1 accuracy of every variant, such as 97%.",
)
@click.option(
    "--max-drop",
    type=options.Share(),
    metavar="SHARE",
    help="Limit: how far top-1 may lie below the reference's, such as 1%.",
)
@click.option(
    "--min-agreement",
    type=options.Share(),
    metavar="SHARE",
    help="Limit: least share of images with the reference's prediction.",
)
@click.option("--json", "json_to", metavar="PATH", help="Write the result as JSON to a file, or to - and nothing else.")
def command(
    scenario: Path, data: Path | None, class_map: Path | None, unlabelled: bool, overrides: tuple[str, ...],
    vary: tuple[str, ...], limit: int | None, min_top1: float | None, max_drop: float | None,
    min_agreement: float | None, json_to: str | None,
) -> None:  # fmt: skip
    """Compare a pipeline's predictions with labels, and with those of the same model on the reference stack.

    \b
    Example:
      harness accuracy scenarios/resnet18_cpu.yaml --data imagenet/val --set stages.inference.weights=default
      harness accuracy digits.yaml --data test --vary stages.inference.runtime=torch,onnxruntime --max-drop 1%
      harness accuracy scenarios/resnet18_cpu.yaml --vary stages.preprocess.backend=numba,native

    The reference is float32 torch after torchvision's preprocessing. Images go through the stages that `run` measures.
    Without --data they are the scenario's own, which have no labels. Exit code 3: a limit is not met. A variant that
    cannot be run: the exit code of its error.
    """
    from harness.commands import output
    from harness.errors import ScenarioError
    from harness.report.live import accuracy as live
    from harness.scenario import find, parse_axes
    from harness.studies.accuracy import Limits, evaluate
    from harness.studies.accuracy.dataset import of_folder, of_source
    from harness.studies.accuracy.evaluate import inference_of
    from harness.studies.accuracy.variants import combine
    from harness.studies.planning import check_here, plan_of, with_line

    output.check_json(json_to)
    if data is None and (class_map is not None or unlabelled):
        option = "--unlabelled" if unlabelled else "--classes"
        raise UsageError(f"{option} says what the folders of --data are", hint="Add --data FOLDER.")
    variants, left_out = combine(find(scenario), overrides, parse_axes(vary))
    path, plan = plan_of(scenario, overrides)
    check_here(path, plan, overrides)
    limits = Limits(top1=min_top1, agreement=min_agreement, drop=max_drop)
    try:
        if data is None:
            dataset = of_source(plan)
        else:
            outputs = inference_of(plan).output.shape[0]
            dataset = of_folder(data, plan.scenario.source, outputs, class_map, labelled=not unlabelled)
        with closing(dataset.images), live.view(quiet=json_to == "-") as observe:
            sample = dataset.sample(limit, plan.seed("images"))
            name = str(data) if data is not None else plan.scenario.source.images
            evaluation = evaluate(plan, variants, sample, name, limits, observe, left_out)
    except ScenarioError as error:
        raise with_line(error, path, overrides) from None
    deliver(evaluation, json_to)


def deliver(evaluation: Evaluation, json_to: str | None) -> None:
    """Show an evaluation, or write it as JSON, and end with its exit code."""
    from harness import store
    from harness.commands import output
    from harness.report.screens import accuracy as report

    document, error = evaluation.document, evaluation.error
    text = store.to_json(document.as_json())
    if json_to == "-":
        output.say(text)
    else:
        report.show(output.screen(), document)
    unwritten = None if json_to in (None, "-") else output.write_json(json_to, text, "evaluation")
    if error is not None:
        raise error
    if unwritten is not None:
        raise unwritten
    if document.interrupted:
        raise SystemExit(interruption.exit_code())
    if not all(gate.met for gate in document.gates):
        raise SystemExit(NOT_MET)

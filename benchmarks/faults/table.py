"""The rounds as a Markdown table, and what there is to know of each bad one."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.faults.catalogue import CELLS
from benchmarks.faults.judging import CLAIMS
from benchmarks.faults.rounds import Round

TAIL_LINES = 15
ORDER = [(fault.name, executor) for fault, executor in CELLS]


def table(rounds: Sequence[Round], skipped: dict[str, str]) -> str:
    """A row a fault and executor: of how many rounds each claim held; the slowest end, from the injection."""
    columns = ("fault", "executor", "rounds", "injected", *CLAIMS, "slowest end, s")
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for fault, executor in sorted({(r.fault, r.executor) for r in rounds}, key=ORDER.index):
        lines.append(_row(fault, executor, [r for r in rounds if (r.fault, r.executor) == (fault, executor)]))
    lines.append(_row("all", "", rounds))
    lines += [f"\nSkipped: {name}: {why}." for name, why in skipped.items()]
    return "\n".join(lines)


def _row(fault: str, executor: str, rounds: Sequence[Round]) -> str:
    held = []
    for claim in CLAIMS:
        judged = [r for r in rounds if claim not in ("saved", "accounted for") or r.saves]
        held.append(f"{sum(claim not in r.wrong for r in judged)} of {len(judged)}")
    slowest = max((r.seconds for r in rounds), default=0.0)
    return (
        f"| {fault} | {executor} | {len(rounds)} | {sum(r.hit for r in rounds)} | {' | '.join(held)} | {slowest:.1f} |"
    )


def line(found: Round) -> str:
    """In short, for whoever watches."""
    wrong = "; ".join(f"{claim}: {what}" for claim, what in found.wrong.items())
    return f"round {found.number}: {found.fault}, {found.executor}: {found.what}: {wrong or 'ok'}"[:300]


def report(found: Round) -> str:
    """All about a bad round."""
    tail = "\n".join(line[:300] for line in found.said.splitlines()[-TAIL_LINES:])
    wrong = "\n".join(f"  {claim}: {what}" for claim, what in found.wrong.items())
    return (
        f"\n## round {found.number}: {found.fault}, {found.executor}: {found.what}\n{wrong}\n"
        f"exit code {found.code} after {found.seconds:.1f} s; repeat: {found.again}\n"
        f"command: {found.command}\nscenario:\n{found.scenario}standard error:\n{tail}"
    )

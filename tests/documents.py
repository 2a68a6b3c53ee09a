"""Markdown pages whose commands are run. What a block of a page means stands in CONTRIBUTING.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
_BLOCK = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """A fenced block. line: of its fence, from 1."""

    page: Path
    line: int
    language: str
    info: str
    text: str

    @property
    def study(self) -> bool:
        return self.info.strip() == "study"


@dataclass(frozen=True)
class Example:
    """A command and what it prints; `...` in that stands for anything."""

    command: str
    expected: str

    def matches(self, output: str) -> bool:
        def lines(text: str) -> str:
            return "\n".join(line.rstrip() for line in text.strip().splitlines())

        pattern = re.escape(lines(self.expected)).replace(r"\.\.\.", r"[\s\S]*?")
        return not self.expected.strip() or re.fullmatch(pattern, lines(output)) is not None


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(page, text[: m.start()].count("\n") + 1, m[1], m[2], m[3]) for m in _BLOCK.finditer(text)]


def examples(block: Block) -> list[Example]:
    """The commands of a console block, each with the lines up to the next."""
    found: list[Example] = []
    for line in block.text.splitlines():
        if line.startswith(_PROMPT):
            found.append(Example(line.removeprefix(_PROMPT), ""))
        elif found and found[-1].command.endswith("\\") and not found[-1].expected:
            found[-1] = Example(f"{found[-1].command}\n{line}", "")
        elif found:
            found[-1] = Example(found[-1].command, found[-1].expected + line + "\n")
        else:
            raise ValueError(f"{block.page.name}:{block.line}: a console block begins with a command")
    return found

"""DataFrames and reports that several results offer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError

if TYPE_CHECKING:
    import pandas


def need_pandas() -> Any:
    """pandas, which is optional. Raises UsageError."""
    try:
        import pandas
    except ImportError:
        hint = "pip install 'tail-latency-harness[notebook]', or use to_arrow()."
        raise UsageError("pandas is not installed", where="to_pandas", hint=hint) from None
    return pandas


def frame(rows: Sequence[Mapping[str, Any]]) -> pandas.DataFrame:
    """Rows as a DataFrame. Raises UsageError where pandas is not installed."""
    return need_pandas().DataFrame([dict(row) for row in rows])


def study_report(folder: Path, path: str | os.PathLike[str] | None) -> Path:
    """Write the HTML report of a study. Raises UsageError, SaveError."""
    from harness.report.html.files import write_study
    from harness.report.html.study import read

    study = read(folder)
    if study is None:
        raise UsageError("not the folder of a study", where=str(folder))
    return write_study(study, None if path is None else Path(path))

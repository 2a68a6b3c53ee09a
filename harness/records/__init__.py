"""One row a request, every stamp of it: what executors fill, files hold and everything else is computed from.

layout    what a row holds: the named columns, and the facts about stages and load
sources   where columns come from: memory, or (file) a file that is read block by block
records   RunRecords and StageRecords
derived   what several readers derive from stamps
file      Parquet: written in blocks, read by column

Modules import from those above them. It imports nothing of the package but errors.
"""

from harness.records.derived import Batches, batches, first_of_batches, ready
from harness.records.file import RecordsWriter, load, read, save
from harness.records.layout import (
    ACCEPTED,
    ANSWER,
    BATCH,
    DONE,
    DUE,
    ENDED,
    FAILED_STAGE,
    FIRST_STAGE,
    IMAGE,
    OFFERED,
    OUTCOME,
    PARTS,
    PHASE,
    REQUEST_FIELDS,
    STAGE_FIELDS,
    STAMPS,
    STARTED,
    TAKEN,
    WORKER,
    Layout,
    LoadKind,
    Outcome,
    Phase,
    StageLayout,
)
from harness.records.records import RunRecords, StageRecords, stage_columns
from harness.records.sources import BLOCK_ROWS, Ints

__all__ = [
    "ACCEPTED",
    "ANSWER",
    "BATCH",
    "BLOCK_ROWS",
    "DONE",
    "DUE",
    "ENDED",
    "FAILED_STAGE",
    "FIRST_STAGE",
    "IMAGE",
    "OFFERED",
    "OUTCOME",
    "PARTS",
    "PHASE",
    "REQUEST_FIELDS",
    "STAGE_FIELDS",
    "STAMPS",
    "STARTED",
    "TAKEN",
    "WORKER",
    "Batches",
    "Ints",
    "Layout",
    "LoadKind",
    "Outcome",
    "Phase",
    "RecordsWriter",
    "RunRecords",
    "StageLayout",
    "StageRecords",
    "batches",
    "first_of_batches",
    "load",
    "read",
    "ready",
    "save",
    "stage_columns",
]

"""Inference: one file a runtime, each a Runtime (see base.py); `stage` puts any of them into a pipeline.

options   what a scenario can set           runtimes   the runtimes by name, and what each can do
What a runtime needs beside torch is an extra of the package.
"""

from harness.stages.inference.base import Runtime, Setup
from harness.stages.inference.stage import InferenceStage

__all__ = ["InferenceStage", "Runtime", "Setup"]

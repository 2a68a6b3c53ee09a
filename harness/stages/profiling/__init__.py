"""Profiling a stage while it works: which operators take its time, and which Python code.

stage      a Stage around another one          operators  what a runtime's own profiler says, in one form
"""

from harness.stages.profiling.operators import Operator
from harness.stages.profiling.stage import ProfiledStage, Sample

__all__ = ["Operator", "ProfiledStage", "Sample"]

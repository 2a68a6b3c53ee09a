"""How right a pipeline is: against labels, and against the same model on the reference stack.

dataset   the images, and the class of each          variants  the pipelines, by the settings in which they differ
evaluate  all images through all of them             judge     figures from their outputs      results  what those are
"""

from harness.studies.accuracy.evaluate import evaluate
from harness.studies.accuracy.results import Accuracy, Limits

__all__ = ["Accuracy", "Limits", "evaluate"]

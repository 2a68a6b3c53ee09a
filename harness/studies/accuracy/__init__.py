"""How accurate a pipeline is: against labels, and against the same model on the reference stack.

dataset   the images, and the label of each      variants  the combinations of values that go together
evaluate  all images through all variants        judge     figures from their outputs, and limits
document  what an evaluation says, typed
"""

from harness.studies.accuracy.document import AccuracyDocument
from harness.studies.accuracy.evaluate import Evaluation, evaluate
from harness.studies.accuracy.judge import Limits

__all__ = ["AccuracyDocument", "Evaluation", "Limits", "evaluate"]

"""torchvision without its compiled operators, and with its import already done."""

import subprocess
import sys

import pytest


def run(code):
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)


@pytest.mark.slow
def test_models_and_transforms_can_be_used_and_a_second_call_changes_nothing():
    done = run(
        "from harness.kernels.torchvision_import import import_torchvision as t;"
        "first = t(); assert t() is first; import torchvision; assert torchvision is first;"
        "from torchvision.transforms import v2; from torchvision.models import resnet18; resnet18(weights=None)"
    )
    assert done.returncode == 0, done.stderr

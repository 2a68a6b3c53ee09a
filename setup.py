"""The two things that pyproject.toml cannot say: a package that lies beside its parent, and an optional extension."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["harness*"]), "harness.kernels"])

"""The two things that pyproject.toml cannot say: packages that lie beside their parent, and an optional extension."""

from pathlib import Path

from setuptools import Extension, find_packages, setup

FOLDER = Path("kernels/native")

setup(
    packages=[*find_packages(include=["harness*"]), "harness.kernels", "harness.kernels.bench", "harness.shipped"],
    exclude_package_data={"harness.kernels": ["native/*"]},
    ext_modules=[
        Extension(
            "harness.kernels._native",
            sources=sorted(path.as_posix() for path in FOLDER.glob("*.c")),
            depends=sorted(path.as_posix() for path in FOLDER.glob("*.h")),
            extra_compile_args=["-O3", "-g0"],
            optional=True,
        )
    ],
)

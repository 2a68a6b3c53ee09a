"""The Chromium on PATH, and what to do without it: skip, unless HARNESS_BROWSER_TESTS says that it has to be there."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OFFLINE = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


def needed(module: str) -> Any:
    """Import a module of the extra `browser` or `dev`."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return lacking(f"{module} is not installed: pip install -e '.[dev]'")


def lacking(what: str) -> None:
    if "HARNESS_BROWSER_TESTS" in os.environ:
        pytest.fail(f"{what}, and HARNESS_BROWSER_TESTS is set")
    pytest.skip(what)


@contextlib.contextmanager
def started() -> Iterator[Any]:
    """Headless Chromium. playwright keeps an event loop in this thread while it is there."""
    api = needed("playwright.sync_api")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        lacking(f"there is no {NAMES[0]} on PATH")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(OFFLINE))
        yield browser
        browser.close()

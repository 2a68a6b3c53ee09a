"""The pictures of a report for the README: a wide screen, light and dark, in headless Chromium.

python -m benchmarks.report_images [RUN]     (the last run by default; some ten seconds; needs '.[browser]')
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal

from harness import store
from harness.report.html.files import write_report

IMAGES = Path(__file__).parent.parent / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH = 1280
PICTURES: tuple[tuple[Literal["light", "dark"], str, int], ...] = (("light", "main", 1330), ("dark", "main", 1330))
"""Colour scheme, the element at the top, and the height of each."""


def main() -> int:
    """Return the exit code."""
    from playwright.sync_api import sync_playwright

    saved = store.find(sys.argv[1] if len(sys.argv) > 1 else "last")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        print(f"there is no {BROWSERS[0]} on PATH", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = write_report([saved], Path(folder, "report.html"))
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for scheme, element, height in PICTURES:
            context = browser.new_context(viewport={"width": WIDTH, "height": height}, color_scheme=scheme)
            page = context.new_page()
            page.goto(report.as_uri())
            page.evaluate(f"document.querySelector('{element}').scrollIntoView()")
            page.screenshot(path=IMAGES / f"report-{scheme}.png")
            context.close()
        browser.close()
    for image in sorted(IMAGES.glob("report-*.png")):
        print(f"{image}  {image.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

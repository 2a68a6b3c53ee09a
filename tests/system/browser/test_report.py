"""A real run's report in a real browser: it shows the summary's figures, without an error, with mouse and keyboard.

Needs playwright and a Chromium on PATH; skipped without, unless HARNESS_BROWSER_TESTS is set: then it fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.plan import resolve
from harness.records import Phase
from harness.report.html.figures import STYLES
from harness.report.html.files import write_report
from harness.stats.quantiles import quantile
from harness.store import SavedRun
from harness.studies.run.measure import measure
from tests.pipelines import scenario
from tests.system.browser.chromium import started

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser(runs):
    """Headless Chromium. The runs come first: they need this thread's event loop too."""
    with started() as browser:
        yield browser


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[SavedRun]:
    """Two real runs."""
    out = tmp_path_factory.mktemp("runs")
    stages = (
        {"null": {"name": "front", "batch": {"max": 4, "timeout": "1 ms"}}},
        {"delay": {"name": "server", "mean": "1 ms", "capacity": 1000}},
    )
    found = []
    for rate in ("300/s", "200/s"):
        load = {"arrivals": "poisson", "rate": rate, "requests": 250, "warmup": 10}
        plan = resolve(scenario(*stages, load=load, executor="asyncio", slo={"p99": "1 s"}))
        found.append(SavedRun(Path(measure(plan, "", out).summary.saved)))
    return found


@pytest.fixture
def opened(browser, runs, tmp_path):
    """Open a report in a page of a given size; at the end nothing was loaded and nothing went wrong."""
    troubles: list[str] = []
    contexts = []

    def open_it(count: int = 1, width: int = 1440, height: int = 900, scheme: str = "light"):
        path = write_report(runs[:count], tmp_path / "report.html")
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: troubles.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: request.url.startswith(("file:", "data:")) or troubles.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert troubles == []


def look_up(summary, key: str):
    for part in key.split("/"):
        summary = summary[int(part)] if isinstance(summary, list | tuple) else summary[part]
    return summary


@pytest.mark.parametrize("count", [1, 2])
def test_the_figures_shown_are_the_summary_s(opened, runs, count):
    page = opened(count)
    figures = page.eval_on_selector_all(
        "data[data-key]", "all => all.map(e => [e.dataset.run, e.dataset.key, e.dataset.style, e.innerText, e.value])"
    )
    assert len(figures) > 40
    for run, key, style, text, exact in figures:
        value = look_up(runs[int(run)].summary.as_json(), key)
        assert text == STYLES[style](value), key
        assert exact == "" or float(exact) == pytest.approx(value, rel=1e-8)
    headline = page.locator(".big").first.inner_text()
    p99 = runs[0].summary.e2e.p99
    assert headline == "no p99" if p99 is None else STYLES["ms"](p99) in headline


@pytest.mark.parametrize("count", [1, 2])
def test_every_chart_is_drawn(opened, count):
    charts = opened(count).locator(".chart")
    assert charts.count() >= 5
    for chart in charts.all():
        assert chart.locator("svg").last.get_attribute("aria-label")
        assert chart.locator("path, rect").count() > 4, chart.get_attribute("id")


def test_a_chart_is_read_and_zoomed_with_the_keyboard_and_those_beside_it_follow(opened):
    page = opened()
    latency, waiting = page.locator("#latency > svg"), page.locator("#waiting-0 > svg")
    latency.focus()
    page.keyboard.press("ArrowRight")
    tip = page.locator("#tip")
    assert tip.is_visible()
    assert "request" in tip.inner_text() and " ms" in tip.inner_text()
    before = waiting.inner_html()
    page.keyboard.press("+")
    assert waiting.inner_html() != before
    assert page.locator("#waiting-0 .reset").is_visible()
    page.keyboard.press("0")
    assert not page.locator("#waiting-0 .reset").is_visible()
    page.keyboard.press("Tab")
    assert not tip.is_visible()


def test_every_chart_and_every_curve_is_reached_with_tab(opened):
    page = opened()
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.closest('.chart')?.id ?? document.activeElement.tagName"))
        if page.evaluate("document.activeElement === document.body"):
            break
    assert {c.get_attribute("id") for c in page.locator(".chart").all()} <= reached


def test_a_curve_is_hidden_and_shown_with_the_keyboard(opened):
    page = opened()
    button = page.locator("#percentiles .legend button").first
    lines = page.locator("#percentiles > svg path.line")
    before = lines.count()
    button.focus()
    page.keyboard.press("Enter")
    assert (button.get_attribute("aria-pressed"), lines.count()) == ("false", before - 1)
    page.keyboard.press("Enter")
    assert (button.get_attribute("aria-pressed"), lines.count()) == ("true", before)


def test_a_chart_is_zoomed_with_the_mouse(opened):
    page = opened()
    chart = page.locator("#latency > svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 60, steps=5)
    page.mouse.up()
    reset = page.locator("#latency .reset")
    assert reset.is_visible()
    reset.click()
    assert not reset.is_visible()


def test_the_curve_at_99_percent_is_the_p99(opened, runs):
    page = opened()
    text = page.evaluate(
        """() => { const chart = document.querySelector('#percentiles > svg'); chart.focus();
        const tick = [...chart.querySelectorAll('.tick')].find((t) => t.textContent === '99 %');
        const box = chart.getBoundingClientRect();
        const at = { clientX: box.left + Number(tick.getAttribute("x")) - 0.3, clientY: box.top + 90, bubbles: true };
        chart.dispatchEvent(new PointerEvent('pointermove', at));
        return document.getElementById('tip').innerText; }"""
    )
    assert text.splitlines()[0] == "percentile 99.0 %"
    done = runs[0].records.of_phase(Phase.MEASURED)
    p99_ms = quantile(done.completed - done.due, 0.99) / 1e6
    assert f"e2e: {STYLES['ms'](p99_ms)} ms" in text


def test_a_budget_s_parts_are_read_with_the_keyboard(opened):
    page = opened()
    page.locator("#budget > svg").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tip").inner_text().startswith("Typical requests: ")
    page.keyboard.press("End")
    assert page.locator("#tip").inner_text().startswith("Slowest 1 %: ")


@pytest.mark.parametrize("count", [1, 2])
def test_a_narrow_screen_scrolls_only_downwards(opened, count):
    page = opened(count, width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_dark_and_paper_have_their_own_colours(opened):
    page = opened(scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(15, 18, 22)"
    page.emulate_media(media="print")
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert page.pdf().startswith(b"%PDF")

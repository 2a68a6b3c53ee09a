"""The report of a run, or of several side by side, as one HTML file that needs nothing else: no network, no library.

run        what is shown of one run: its summary, and the series that harness.stats makes of its records
charts     the series as descriptions of charts, which static/*.js draws
figures    single figures, each with the key in summary.json that it comes from
study      what is shown of a sweep, a comparison or a search for the capacity: its screen and its plots
page       templates, styles and scripts put together, with a content security policy that names each by its hash
"""

from harness.report.html.page import render, render_study
from harness.report.html.run import Run, read

__all__ = ["Run", "read", "render", "render_study"]

"""The Python API: what `import harness` offers, each name imported when it is used (see harness/__init__.py).

scenarios  what may be given as a scenario and as overrides      runs     Run: one saved run; run, open_run, runs
studies    compare, sweep, capacity, simulate, crosscheck        results  what they return
watching   progress in a terminal or a notebook

A call reads arguments, calls the studies, and returns what they saved. Commands may use it; nothing below it does.
"""

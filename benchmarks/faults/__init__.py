"""Faults injected into real runs, and what must hold all the same: `python -m benchmarks.faults`, docs/faults.md.

pipelines   random scenarios                       running     the command under test, and waiting for it
trial       what a fault asks for and expects      processes   what Linux says about processes, by an environment mark
signals, limits, code   the faults themselves      judging     what was left, lost, late or wrong
catalogue   all faults, in order of the rounds     table       the result as Markdown
"""

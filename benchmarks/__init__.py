"""Committed commands that measure the tool itself; each prints its figures as ratios within one run."""

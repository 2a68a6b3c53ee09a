"""Statistics of a run, computed from RunRecords alone. Nothing here knows which executor made them.

budget     each request's latency as a sum of components
quantiles  one definition of a quantile
intervals  confidence intervals, for independent and for dependent requests
steady     steady state, trends, Little's law
checks     is the run valid
reading    what the figures say, in words
summary    all of it, as `summary.json` holds it
series     what pictures of a run are drawn from
side_by_side  figures and settings of several runs
proportions  shares of images, and the difference of two, with intervals
"""

"""Statistics of a run, computed from RunRecords alone. Nothing here knows which executor made them.

budget     each request's latency as a sum of components
attribution  where the time of a band of latencies went
quantiles  one definition of a quantile
intervals  confidence intervals, for independent and for dependent requests
metrics    what can be compared, by name
blocks     figures of two sides from blocks: scores, sign flips, intervals
sides      one side of a comparison, and what keeps a metric from being compared
comparison  effects with intervals and verdicts, corrected together
steady     steady state, trends, Little's law
checks     is the run valid
reading    what the figures say, in words
summary    all of it, as `summary.json` holds it
series     what pictures of a run are drawn from
side_by_side  figures and settings of several runs
proportions  shares of images, and the difference of two, with intervals
"""

"""Scenarios compared: several sides, measured in interleaved blocks, with the same arrivals and images.

sides      what is compared: each side's scenario, settings and Plan
sameness   whether all sides make the same of the same images
running    a comparison from start to end, and its document
validity   whether the figures of a side may be believed
reading    what a comparison says, in words
folder     saved comparisons
"""

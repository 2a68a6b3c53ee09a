"""Comparisons: variants measured in interleaved blocks, with the same arrivals and images; or two saved runs.

sides        the variants as sides of a comparison, under one load
equivalence  whether all sides compute the same for the same images
running      a comparison from start to end
validity     may the figures of a side be believed?
saved        two saved runs
gate         limits, for CI
findings     what a comparison says, in sentences
document     all of it, typed: what is saved, printed and shown
folder       saved comparisons
"""

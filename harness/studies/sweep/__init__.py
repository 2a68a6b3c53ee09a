"""A grid of scenarios, measured cell by cell: what `harness sweep` does.

grid        axes of values, and the order in which trials run
spec        what is asked for, every cell of it checked
folder      where it is kept, so that it outlives any end of the process
running     the trials that are lacking, one after the other
figures     what the runs of a cell come to together
frontier    which cells no other one beats
prediction  the same grid in the twin
answer      all of that as plain data, and as a tidy table
"""

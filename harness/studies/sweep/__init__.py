"""The variants of a scenario over some axes, each of them measured: what `harness sweep` does.

grid        the axes of values, and the order in which trials run
spec        what is asked for; every variant is checked
folder      where it is kept, so that it outlives any end of the process
running     runs the trials that have not completed, one after the other
figures     what the runs of a variant come to together
frontier    the variants that no other one beats
prediction  the same variants in the twin
document    the result as a typed document
result      makes it
table       the tidy table, a row for each run
axes        short names for screens and plots
"""

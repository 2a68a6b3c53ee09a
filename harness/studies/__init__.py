"""What is made of runs: one measured and saved run (`measure`), and later comparisons, sweeps, capacity."""

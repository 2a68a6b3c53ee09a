"""What `harness sweep` shows: progress on standard error, a table on the terminal, and plots in the sweep's folder."""

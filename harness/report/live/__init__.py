"""What is shown on standard error while something is measured: redrawn on a terminal, plain lines elsewhere."""

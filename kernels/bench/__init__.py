"""What `python -m harness.kernels.benchmark` measures, one file a question; only the benchmark imports it."""

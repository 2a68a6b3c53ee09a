"""Measure, explain and plan the tail latency of an inference pipeline."""

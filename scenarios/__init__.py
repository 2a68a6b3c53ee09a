"""Scenarios that are found by their names; installed as harness.shipped."""

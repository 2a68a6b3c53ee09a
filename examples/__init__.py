"""Whole cases that can be run again: data, a trained model and a scenario, each made by one command."""

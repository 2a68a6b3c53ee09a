"""Handwritten digits (scikit-learn's): a small network of one's own, trained in seconds."""

"""Measures of predictions, and the baselines that a network has to beat."""

"""Scores of predictions, what they cost, and what is kept of test images."""

# Raised with each change of how results are scored: a run is not continued by other rules.
SCORING = 1

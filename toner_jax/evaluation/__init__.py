"""Scores of predictions against gold annotations, and the baselines they are read beside."""

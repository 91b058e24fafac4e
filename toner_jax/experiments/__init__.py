"""Runs that belong together: the paper's ablation and its choice of δ, each as one command."""

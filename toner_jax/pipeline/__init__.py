"""Sentences → ids → device batches."""

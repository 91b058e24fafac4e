"""Flan-T5 and BERT in Flax, and what ToNER adds to them."""

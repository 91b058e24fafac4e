"""BERT, the architecture of GTE."""

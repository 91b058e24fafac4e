"""T5 and Flan-T5."""

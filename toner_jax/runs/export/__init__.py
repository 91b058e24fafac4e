"""Models in and out of a run: Hugging Face folders and Orbax checkpoints."""

"""Type-oriented named entity recognition (ToNER) on JAX and Flax."""

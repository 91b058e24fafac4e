"""The forms in which `toner-jax predict` writes entities."""

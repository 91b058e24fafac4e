"""What a generator is asked and what it answers: one object a task. Nothing here knows the models or jax."""

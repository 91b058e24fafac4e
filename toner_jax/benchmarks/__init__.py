"""What `toner-jax bench` measures: a module for each subcommand, and what they share."""

"""The commands of `toner-jax`: a module each, with a `main` that is given the arguments after the command's name."""

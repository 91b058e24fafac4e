"""What every room stands on: files, console, cache."""

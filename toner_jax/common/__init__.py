"""What every package stands on: files, console, cache."""

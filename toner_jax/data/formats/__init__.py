"""The formats of files: one registry, one reader a file."""

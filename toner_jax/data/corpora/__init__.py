"""The benchmark sets: their files, schemas and published sizes, and generated text."""

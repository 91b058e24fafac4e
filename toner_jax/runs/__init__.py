"""The stages of a run, in order: matcher, generator, evaluate."""

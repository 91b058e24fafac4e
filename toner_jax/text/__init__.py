"""Words, prompts, targets and their ids."""

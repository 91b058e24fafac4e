"""Words and their ids, the target format, and its way back to spans of the text. Prompts are in `tasks`."""

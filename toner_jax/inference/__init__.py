"""Text → windows → types → prompts → decoding → aligned spans: one path for evaluation and predict."""

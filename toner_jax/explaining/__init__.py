"""Explanations of annotated entities, asked of a language model behind an OpenAI-compatible endpoint (§3.5)."""

"""Search over output sequences; it knows a model only as (tokens, cache) → (logits, cache)."""

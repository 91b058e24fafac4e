"""Search over output sequences: speculative under a grammar, greedy, with beams. It knows a model as a
`Seq2SeqDecoder` and a task as a `Grammar`, and nothing else of either."""

"""What the whole configuration is known to: the stages of a run, in order (setup, matcher, generator, evaluate), when
each of them runs, and what its work directory holds. The models at work are in `inference`, their training in
`training`."""

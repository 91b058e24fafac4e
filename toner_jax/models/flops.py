"""What the counts of all architectures share."""

# A product's forward pass is one, the gradients of its two factors are two more of the same size.
TRAINING = 3

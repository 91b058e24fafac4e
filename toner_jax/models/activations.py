"""How much memory training takes for activations: an estimate, within a sixth of what XLA plans for A100s.

Two factors were fitted to the plans of eight programs (Flan-T5-base to -xl, GTE-large; 128 to 512 tokens): of products'
factors and results, and of attention's cells. The others follow from what `models.stacks` keeps.
"""

from __future__ import annotations

_LINEAR, _CELL = 1.46, 2.5
# Of what is kept with remat=none, by what is computed again; of the weights' gradients, beside activations.
KEPT = {"none": 1.0, "products": 0.37, "full": 0.35}
GRADIENTS = 0.6


def layer_bytes(tokens: float, cells: float, width: int, inner: int, hidden: int, itemsize: int) -> float:
    """What a transformer layer keeps for its backward pass.

    Args:
      tokens: of all rows.
      cells: pairs of a query and a key, of all rows and heads.
      width, inner, hidden: of states, of all heads together, and of the feed-forward layer.
      itemsize: bytes of a number in the compute dtype.
    """
    numbers = 4 * width + 4 * inner + 3 * hidden
    return itemsize * (_LINEAR * tokens * numbers + _CELL * cells)

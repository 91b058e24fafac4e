"""`python -m toner_jax.predict`: the same as `toner-jax predict`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("predict")

if __name__ == "__main__":
    sys.exit(main())

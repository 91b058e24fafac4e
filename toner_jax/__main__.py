"""`python -m toner_jax`: the same as `toner-jax`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import main

if __name__ == "__main__":
    sys.exit(main())

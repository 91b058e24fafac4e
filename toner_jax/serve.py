"""`python -m toner_jax.serve`: the same as `toner-jax serve`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("serve")

if __name__ == "__main__":
    sys.exit(main())

"""`python -m toner_jax.main`: the same as `toner-jax train`."""

from __future__ import annotations

import sys

from toner_jax.commands.app import door

main = door("train")

if __name__ == "__main__":
    sys.exit(main())

"""A process of a job of two, for test_processes.py: asks what all must hear alike, and may die in many ways."""

import os
import signal
import sys
import time

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from toner_jax.common import cli
from toner_jax.common.console import show_json
from toner_jax.errors import UserError
from toner_jax.parallel import exchange, processes
from toner_jax.parallel.mesh import make_mesh, own_rows, shard_batch


def agree() -> dict:
    mesh, index = make_mesh(), jax.process_index()
    rows = np.arange(8.0).reshape(4, 2)
    split = shard_batch(rows, mesh)
    processes.wait_for_all("begin")
    return {
        "index": index,
        "processes": jax.process_count(),
        "first": processes.on_first(lambda: {"of": index, "δ": [1, None]}),
        "any": [exchange.any_of(index == 1), exchange.any_of(False)],
        "share": list(exchange.share(5)),
        "by share": exchange.by_share(lambda i: (i, index), 5),
        "filled": exchange.filled([i if i % 2 == index else None for i in range(4)]),
        "of first": len(exchange.of_first(lambda: b"ab" * 3_000)),
        "rows": own_rows(mesh, 4).tolist(),
        "host": exchange.on_host({"split": split, "own": np.ones(1)})["split"].tolist(),
    }


def steps(victim: int, way: str) -> None:
    """Sums on both; one of them ends before the sixth."""
    mesh = make_mesh()
    ones = shard_batch(np.ones(2), mesh)
    total = jax.jit(lambda x: x.sum(), out_shardings=NamedSharding(mesh, P()))
    for step in range(400):
        float(total(ones))
        time.sleep(0.05)
        if step == 5 and jax.process_index() == victim:
            if way == "bad input":
                raise UserError("this one has no data")
            os.kill(os.getpid(), {"killed": signal.SIGKILL, "stopped": signal.SIGSTOP}[way])


def main() -> int:
    what, *arguments = sys.argv[1:]
    with processes.together(processes.Wanted()):
        if what == "steps":
            steps(int(arguments[0]), arguments[1])
        elif what == "refuse":
            processes.on_first(refuse)
        else:
            show_json(agree())
    return 0


def refuse() -> None:
    raise UserError("the first one refuses")


if __name__ == "__main__":
    sys.exit(cli.run(main))

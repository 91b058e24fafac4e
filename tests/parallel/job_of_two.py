"""A process of a job of two, for test_processes.py: asks what all must hear alike, and may die in many ways."""

import os
import signal
import sys
import time
from pathlib import Path

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from toner_jax.common import cli
from toner_jax.common.console import show_json
from toner_jax.common.files import write_atomically
from toner_jax.errors import UserError
from toner_jax.parallel import exchange, processes
from toner_jax.parallel.mesh import BATCH, make_mesh, own_rows, shard_batch
from toner_jax.runs.spread import send
from toner_jax.training.gathered import open_checkpoints


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


def unshared(folder: Path) -> dict:
    """A state and files that the first alone writes; −0.0 and NaNs with a payload are told from others."""
    mesh, index = make_mesh(), jax.process_index()
    own = folder / str(index)  # no other process looks there
    odd = np.array([[-0.0, 1.5], [2.5, np.inf]], np.float32)
    odd.view(np.uint32)[1, 1] = 0x7FC00123
    split, alike = NamedSharding(mesh, BATCH), NamedSharding(mesh, P())

    def placed(array: np.ndarray, sharding: NamedSharding) -> jax.Array:
        return jax.make_array_from_callback(array.shape, sharding, lambda i: array[i])

    state = {"params": {"odd": placed(odd, split)}, "step": placed(np.array(7, np.int32), alike)}
    with open_checkpoints(own) as checkpoints:
        checkpoints.save(1, state, {"best_step": 1})
        checkpoints.wait()
        latest = checkpoints.latest_good()
        record = checkpoints.record(latest)
        found = checkpoints.restore(latest, state)
    with open_checkpoints(own, read_only=True) as checkpoints:
        params = checkpoints.restore_params(1, state["params"])
    if index == 0:
        for name in ("a.txt", "kept/b.bin", "kept/checkpoints/c"):
            write_atomically(own / "files" / name, name)
    else:
        write_atomically(own / "files" / "a.txt", "other")
    send(own / "files", ("a.txt", "kept", "absent"))
    return {
        "latest": latest,
        "record": record,
        "same": [
            bytes(np.asarray(f.addressable_data(0))) == bytes(np.asarray(s.addressable_data(0)))
            and f.sharding == s.sharding
            for f, s in zip(
                jax.tree.leaves([found, params]), jax.tree.leaves([state, state["params"]]), strict=True
            )
        ],
        "written": sorted(
            str(p.relative_to(own)) for p in own.rglob("*") if p.is_file() and "files" in p.parts
        ),
        "checkpoints": (own / "1").is_dir(),
    }


def main() -> int:
    what, *arguments = sys.argv[1:]
    with processes.together(processes.Wanted(share_files=what != "unshared")):
        if what == "steps":
            steps(int(arguments[0]), arguments[1])
        elif what == "refuse":
            processes.on_first(refuse)
        elif what == "unshared":
            show_json(unshared(Path(arguments[0])))
        else:
            show_json(agree())
    return 0


def refuse() -> None:
    raise UserError("the first one refuses")


if __name__ == "__main__":
    sys.exit(cli.run(main))

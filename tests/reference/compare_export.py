"""A run's models after their export, decoded and embedded by PyTorch from the exported files alone."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import oracles
from compare_models import Decoded, Pair, decode, largest_difference, torch_embedding
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from toner_jax.data.sentences import load_sentences
from toner_jax.inference.embedding import Embedder
from toner_jax.inference.sources import make_source
from toner_jax.models.t5 import hugging_face as t5
from toner_jax.models.t5.model import T5
from toner_jax.parallel.mesh import make_mesh
from toner_jax.pipeline.batching import pad_rows
from toner_jax.runs import setup
from toner_jax.runs.export.convert import convert
from toner_jax.runs.restore import Restored, restore
from toner_jax.runs.workdir import split_path
from toner_jax.schema import Sentence
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.output import Input

LONGEST = 128  # tokens of an output


def export(workdir: Path, folder: Path) -> Restored:
    """Exports a run; gives what the work directory itself holds."""
    convert(str(workdir), folder)
    return restore(workdir, mesh())


def mesh() -> Mesh:
    return make_mesh(jax.device_count())


def sentences_of(workdir: Path, count: int) -> list[Sentence]:
    """The first sentences of a run's dev split."""
    return list(load_sentences(split_path(workdir, "dev")))[:count]


def decoded(run: Restored, folder: Path, sentences: list[Sentence]) -> Decoded:
    """Outputs for the sentences' prompts: ours of the work directory, `generate`'s of the export."""
    task = Entities(setup.generator_word_ids(run.config, run.tokenizers), run.schema)
    rows = [make_source(task, Input(s.words, s.types())).ids for s in sentences]
    source = pad_rows(rows, max(map(len, rows)), len(rows))
    params = {name: tree for name, tree in run.generator_params.items() if name != "type_head"}
    pair = Pair(oracles.read_t5(folder / "generator"), T5(run.generator.config), params)
    return decode(pair, source, (source != 0).astype(np.int32), LONGEST)


def embeddings(run: Restored, folder: Path, sentences: list[Sentence]) -> float:
    """The largest difference of the sentences' unit vectors."""
    assert run.matcher is not None
    features = setup.matcher_features(run.config, run.tokenizers, run.matcher)
    rows = [features.encode(s.words) for s in sentences]
    ours = Embedder(run.matcher, mesh(), batch_size=16)(run.matcher_params, rows)
    ids = pad_rows(rows, max(map(len, rows)), len(rows))
    theirs = torch_embedding(oracles.read_bert(folder / "matcher"), ids, (ids != 0).astype(np.int32))
    return largest_difference(ours, theirs)


def reimported(run: Restored, folder: Path) -> int:
    """How many parameters differ in any bit after the export is read back. The type head is not exported,
    and a pooler may be added."""
    again = restore(folder, mesh())
    pairs = [(run.generator_params, again.generator_params), (run.matcher_params, again.matcher_params)]
    different = 0
    for before, after in pairs:
        read = flatten_dict(after, sep="/")
        for path, value in flatten_dict(before, sep="/").items():
            if not t5.NAMES.is_ours_alone(path):
                different += not np.array_equal(value, read[path])
    return different

"""Both trainings, ours through the stages' own functions and PyTorch's, from the same weights on the same
batches: losses step by step, and the weights they end with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import oracles
import toner_torch
import torch
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from toner_jax import config as configuration
from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.models.bert import hugging_face as bert_layout
from toner_jax.models.hf.names import Names
from toner_jax.models.t5 import hugging_face as t5_layout
from toner_jax.parallel.mesh import make_mesh, shard_batch
from toner_jax.pipeline.batching import pad_rows
from toner_jax.pipeline.corpus import generator_corpus, matcher_corpus
from toner_jax.runs import generator, matcher, options, setup
from toner_jax.text.train_tokenizers import train_sentencepiece, train_wordpiece
from toner_jax.training.optimizer import make_optimizer
from toner_jax.training.state import State, make_train_step
from toner_jax.validation import validate

TOLERANCE = 1e-3  # of a step's loss, and of the norm of a final tensor
STEPS = 50

SENTENCES = generate(3, {"train": 200})["train"]


@dataclass(frozen=True)
class Trained:
    """One training done twice.

    Attributes:
      ours, theirs: losses [steps].
      weights: by PyTorch's name, how far our final tensor is from PyTorch's, in norms of the latter.
      moved: the same of PyTorch's first tensor: what the training did.
    """

    ours: np.ndarray
    theirs: np.ndarray
    weights: dict[str, float]
    moved: dict[str, float]

    def loss_error(self) -> float:
        """The largest relative difference of a step's losses."""
        return float(np.max(np.abs(self.ours - self.theirs) / np.abs(self.theirs)))

    def weight_error(self) -> float:
        return max(self.weights.values())


def settings(folder: Path) -> ConfigDict:
    """A run's configuration whose checkpoints are PyTorch models, written to `folder` with tokenizers of
    their own. Rates and weight decay are high, so that 50 steps would show an error in any of them."""
    train_sentencepiece(folder / "t5", generator_corpus(SENTENCES, SCHEMA), 400)
    train_wordpiece(folder / "bert", matcher_corpus(SENTENCES, SCHEMA), 500)
    oracles.write(oracles.torch_t5("flan", vocab_size=512, num_layers=2), folder / "t5")
    oracles.write(oracles.torch_bert(vocab_size=512, num_hidden_layers=2, pooler=False), folder / "bert")
    c = configuration.base()
    c.data.name = "generated"
    c.tokenizer.backend = "hf"
    c.generator.checkpoint, c.matcher.checkpoint = str(folder / "t5"), str(folder / "bert")
    c.generator.dropout = c.matcher.dropout = 0.0
    c.generator.batch_size = c.matcher.batch_size = 8
    c.generator.max_shapes = c.matcher.max_shapes = 1
    c.generator.learning_rate = c.matcher.learning_rate = 1e-3
    c.generator.weight_decay = c.matcher.weight_decay = 0.5
    c.matcher.epochs = 10.0
    validate(c)
    setup.prepare(c, folder / "work", SENTENCES, SCHEMA)
    return c


def train_generator(folder: Path, steps: int = STEPS) -> Trained:
    """L_g + λ·L_c (Eq. 6) on NER and type recognition samples; T′ is what the sentence holds."""
    config, mesh = settings(folder), make_mesh()
    c = config.generator
    model = setup.build_generator(config, folder / "work", SCHEMA, mesh)
    features = setup.generator_features(config, folder / "work" / setup.TOKENIZERS, SCHEMA)
    samples = generator.make_samples(config, features, SENTENCES, [s.types() for s in SENTENCES], mesh)
    tx = make_optimizer(options.generator_optimizer(config), steps)
    state = setup.create_state(config, model, tx, mesh)

    reference = toner_torch.Generator(oracles.read_t5(folder / "t5"), len(SCHEMA.types))
    head = flatten_dict(state["params"]["type_head"], sep=".")
    with torch.no_grad():
        for layer, name in ((reference.dense, "dense"), (reference.out, "out")):
            layer.weight.copy_(torch.tensor(np.asarray(head[f"{name}.kernel"]).T))
            layer.bias.copy_(torch.tensor(np.asarray(head[f"{name}.bias"])))

    batches = [dict(b.arrays) for b in islice(samples.batches(0), steps)]
    recipe = toner_torch.Recipe(
        steps, c.learning_rate, c.weight_decay, c.beta2, c.warmup, c.clip_norm
    )  # fmt: skip
    first = snapshot(reference)
    theirs = list(toner_torch.train(reference, lambda b: reference.loss(b, c.lambda_c), batches, recipe))
    step = make_train_step(options.generator_objective(config).loss(model), tx, state)
    state, ours = our_losses(state, step, batches, mesh)
    final = {f"t5.{name}": value for name, value in our_tensors(state["params"], t5_layout.NAMES)}
    for path, value in flatten_dict(state["params"]["type_head"], sep=".").items():
        final[path.replace("kernel", "weight")] = np.asarray(value).T
    return compare(ours, theirs, first, final, snapshot(reference))


def train_matcher(folder: Path, steps: int = STEPS) -> Trained:
    """Eq. 4 over all types of the schema."""
    config, mesh = settings(folder), make_mesh()
    c = config.matcher
    model = setup.build_matcher(config, folder / "work", mesh)
    features = setup.matcher_features(config, folder / "work" / setup.TOKENIZERS, model)
    samples = matcher.make_samples(config, features, SENTENCES, SCHEMA, mesh)
    tx = make_optimizer(options.matcher_optimizer(config), steps)
    state = setup.create_state(config, model, tx, mesh)

    reference = toner_torch.Matcher(oracles.read_bert(folder / "bert", add_pooling_layer=False))
    types = features.descriptions(SCHEMA)
    descriptions = pad_rows(types, max(map(len, types)), len(types))
    batches = [dict(b.arrays) for b in islice(samples.batches(0), steps)]
    recipe = toner_torch.Recipe(steps, c.learning_rate, c.weight_decay, 0.999, c.warmup, c.clip_norm)
    first = snapshot(reference)
    theirs = list(
        toner_torch.train(reference, lambda b: reference.loss(b, descriptions, c.tau), batches, recipe)
    )
    step = make_train_step(options.matcher_objective(config).loss(model, types), tx, state)
    state, ours = our_losses(state, step, batches, mesh)
    final = {f"bert.{name}": value for name, value in our_tensors(state["params"], bert_layout.NAMES)}
    return compare(ours, theirs, first, final, snapshot(reference))


def our_losses(state: State, step, batches, mesh) -> tuple[State, list[float]]:
    losses = []
    for batch in batches:
        state, metrics = step(state, shard_batch(batch, mesh))
        losses.append(float(metrics["loss"]))
    return state, losses


def snapshot(model) -> dict[str, np.ndarray]:
    return {name: p.detach().numpy().copy() for name, p in model.named_parameters()}


def compare(ours, theirs, first, final, last) -> Trained:
    """Losses of both, PyTorch's first tensors, our last ones and PyTorch's last ones."""
    assert first.keys() == final.keys() == last.keys()

    def distances(tensors):
        return {n: float(np.linalg.norm(tensors[n] - last[n]) / np.linalg.norm(last[n])) for n in last}

    return Trained(np.array(ours), np.array(theirs), distances(final), distances(first))


def our_tensors(params, names: Names) -> Iterator[tuple[str, np.ndarray]]:
    """Our parameters under PyTorch's names, as PyTorch lays them out; the type head apart."""
    for path, value in flatten_dict(params, sep="/").items():
        if not names.is_ours_alone(path):
            name, transpose = names.tensor(path)
            yield name, np.asarray(value).T if transpose else np.asarray(value)

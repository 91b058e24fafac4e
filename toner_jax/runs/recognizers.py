"""The recognizers of a configuration."""

from __future__ import annotations

from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax.inference.constrained import GrammarGenerator
from toner_jax.inference.explained import ExplainedGenerator
from toner_jax.inference.free import FreeGenerator
from toner_jax.inference.recognize import Generate, Recognizer
from toner_jax.inference.type_recognition import TypeRecognizer
from toner_jax.models.toner import ToNER
from toner_jax.pipeline.features import EXPLAINED, TYPE_RECOGNITION, GeneratorFeatures


def make_recognizer(
    config: ConfigDict, model: ToNER, features: GeneratorFeatures, mesh: Mesh, explain: bool = False
) -> Recognizer:
    """The recognizer of a configuration. One that explains always writes its entities under the grammar."""
    c = config.decode
    room = c.max_length or features.max_target
    batch, overlap = config.eval.batch_size, config.text.window_overlap
    generate: Generate
    if explain:
        generate = ExplainedGenerator(model, features, mesh, batch_size=batch, max_length=room, block=c.block)
        return Recognizer(generate, features, overlap=overlap, task=EXPLAINED)
    if c.grammar:
        generate = GrammarGenerator(model, features, mesh, batch_size=batch, max_length=room, block=c.block)
    else:
        generate = FreeGenerator(
            model,
            features,
            mesh,
            batch_size=batch,
            max_length=room,
            beams=c.beam_size,
            length_penalty=c.length_penalty,
        )
    return Recognizer(generate, features, overlap=overlap)


def make_type_recognizer(
    config: ConfigDict, model: ToNER, features: GeneratorFeatures, mesh: Mesh
) -> TypeRecognizer:
    """The recognizer of types (§3.4) of a configuration, always under the grammar."""
    generate = GrammarGenerator(
        model,
        features,
        mesh,
        batch_size=config.eval.batch_size,
        max_length=config.decode.max_length or features.max_target,
        task=TYPE_RECOGNITION,
        block=config.decode.block,
    )
    return TypeRecognizer(generate, features, overlap=config.text.window_overlap)

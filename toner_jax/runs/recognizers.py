"""The recognizers of a configuration."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial

from jax.sharding import Mesh
from ml_collections import ConfigDict

from toner_jax.inference._task_adapter import FeaturesTask
from toner_jax.inference.constrained import GrammarGenerator
from toner_jax.inference.explained import ExplainedGenerator
from toner_jax.inference.free import FreeGenerator
from toner_jax.inference.options import DecodeOptions
from toner_jax.inference.recognize import Generate, Recognizer
from toner_jax.inference.type_recognition import TypeRecognizer
from toner_jax.models.t5.decoder import T5Decoder
from toner_jax.models.toner import ToNER
from toner_jax.pipeline.features import EXPLAINED, TYPE_RECOGNITION, GeneratorFeatures


def decode_options(config: ConfigDict, features: GeneratorFeatures) -> DecodeOptions:
    """What a configuration says of decoding; a key of `decode` is the option of its name."""
    own = {f.name: config.decode[f.name] for f in fields(DecodeOptions) if f.name in config.decode}
    return replace(
        DecodeOptions(**own),
        max_source=features.max_source,
        max_length=config.decode.max_length or features.max_target,
        batch_size=config.eval.batch_size,
        window_overlap=config.text.window_overlap,
    )


def make_recognizer(
    config: ConfigDict, model: ToNER, features: GeneratorFeatures, mesh: Mesh, explain: bool = False
) -> Recognizer:
    """The recognizer of a configuration. One that explains always writes its entities under the grammar."""
    options, make_decoder = decode_options(config, features), partial(T5Decoder, model)
    generate: Generate
    if explain:
        task = FeaturesTask(features, EXPLAINED)
        generate = ExplainedGenerator(make_decoder, task, mesh, options)
        return Recognizer(generate, features, overlap=options.window_overlap, task=EXPLAINED)
    generator = GrammarGenerator if options.grammar else FreeGenerator
    generate = generator(make_decoder, FeaturesTask(features), mesh, options)
    return Recognizer(generate, features, overlap=options.window_overlap)


def make_type_recognizer(
    config: ConfigDict, model: ToNER, features: GeneratorFeatures, mesh: Mesh
) -> TypeRecognizer:
    """The recognizer of types (§3.4) of a configuration, always under the grammar."""
    options, task = decode_options(config, features), FeaturesTask(features, TYPE_RECOGNITION)
    generate = GrammarGenerator(partial(T5Decoder, model), task, mesh, options)
    return TypeRecognizer(generate, features, overlap=options.window_overlap)

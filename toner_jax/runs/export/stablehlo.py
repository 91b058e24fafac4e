"""Both models as programs for XLA (`jax.export`), which need JAX to run and nothing of this package.

The folder holds `weights.safetensors`, `export.json`, with an example, both tokenizers, and the programs, one for each
length that texts are padded to:

  match_S(weights, ids int32 [b, S]) → fp32 [b, D]: vectors of unit length, whose products are the cosines of Eq. 3;
  encode_S(weights, ids int32 [b, S]) → (source, cache): tuples of arrays;
  step_S(weights, tokens int32 [b, 1], source, cache) → (logits fp32 [b, V], cache): the next token of each row.

b, the rows, is any number; ids are padded with 0. The first token that is fed is 0. A cache has room for
`text.max_target` tokens, and what is fed after those takes the place of the first.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toner_jax.inference.embedding import embed
from toner_jax.inference.free import FreeGenerator
from toner_jax.inference.lengths import few_lengths
from toner_jax.inference.sources import make_source
from toner_jax.models import registry
from toner_jax.models.decoder import MakeDecoder
from toner_jax.models.hf.files import save_tensors
from toner_jax.parallel.sharding import path_string
from toner_jax.runs import setup
from toner_jax.runs.generator import FOLDER as GENERATOR
from toner_jax.runs.matcher import FOLDER as MATCHER
from toner_jax.runs.options import writing
from toner_jax.runs.recognizers import decode_options, make_programs
from toner_jax.runs.restore import Restored, save_tokenizer
from toner_jax.tasks.output import Input
from toner_jax.tasks.registry import make_task

ABOUT, WEIGHTS, SUFFIX = "export.json", "weights.safetensors", ".stablehlo"
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_WORDS = ("Ann", "Lee", "sailed", "to", "Lima", ".")  # of the example


def save(folder: Path, restored: Restored, dtype: jnp.dtype) -> None:
    """Writes the folder.

    Args:
      dtype: of the weights, and that the models compute in.
    """
    weights = _named(GENERATOR, restored.generator_params)
    lengths = few_lengths(restored.config.text.max_source)
    module = restored.generator.clone(dtype=dtype)
    make_decoder = registry.of(module.config).make_decoder(module, False)  # the caches' form on accelerators
    programs = _of_generator(make_decoder, restored, dtype, lengths)
    if restored.matcher is not None:
        weights |= _named(MATCHER, restored.matcher_params)
        programs |= _of_matcher(restored, dtype)
    weights = {name: value.astype(dtype) for name, value in weights.items()}
    for name, exported in programs.items():
        (folder / f"{name}{SUFFIX}").write_bytes(exported.serialize())
    save_tensors(folder / WEIGHTS, weights)
    about = _about(restored, dtype, lengths, programs)
    text = json.dumps(about, indent=1, ensure_ascii=False)
    (folder / ABOUT).write_text(text + "\n", encoding="utf-8")
    for kind, config in ((GENERATOR, restored.generator.config), (MATCHER, _config(restored.matcher))):
        if config is not None:
            (folder / kind).mkdir()
            save_tokenizer(folder / kind, config, restored.tokenizers / kind)


def _config(matcher: Any) -> Any:
    return None if matcher is None else matcher.config


def _named(kind: str, params: Any) -> dict[str, np.ndarray]:
    """A model's parameters by kind/path, on the host."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {f"{kind}/{path_string(path)}": np.asarray(jax.device_get(leaf)) for path, leaf in leaves}


def _placed(kind: str, params: Any, weights: dict[str, jax.Array]) -> Any:
    """Named weights in the form of a model's parameters."""
    return jax.tree_util.tree_map_with_path(lambda path, _: weights[f"{kind}/{path_string(path)}"], params)


def _specs(kind: str, params: Any, dtype: jnp.dtype) -> dict[str, jax.ShapeDtypeStruct]:
    named = jax.tree_util.tree_leaves_with_path(params)
    return {f"{kind}/{path_string(path)}": jax.ShapeDtypeStruct(x.shape, dtype) for path, x in named}


def _export(function: Callable[..., Any], *given: Any) -> jax.export.Exported:
    return jax.export.export(jax.jit(function), platforms=PLATFORMS)(*given)


def _ids(rows: Any, length: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((rows, length), jnp.int32)


def _of_matcher(restored: Restored, dtype: jnp.dtype) -> dict[str, jax.export.Exported]:
    encoder, params = restored.matcher.clone(dtype=dtype), restored.matcher_params  # type: ignore[union-attr]
    weights = _specs(MATCHER, params, dtype)
    (rows,) = jax.export.symbolic_shape("b")

    def match(weights: dict[str, jax.Array], ids: jax.Array) -> jax.Array:
        return embed(encoder, _placed(MATCHER, params, weights), ids)

    return {f"match_{n}": _export(match, weights, _ids(rows, n)) for n in few_lengths(encoder.max_length)}


def _of_generator(
    make_decoder: MakeDecoder, restored: Restored, dtype: jnp.dtype, lengths: tuple[int, ...]
) -> dict[str, jax.export.Exported]:
    params, slots = restored.generator_params, restored.config.text.max_target
    weights = _specs(GENERATOR, params, dtype)
    (rows,) = jax.export.symbolic_shape("b")

    def read(weights: dict[str, jax.Array], ids: jax.Array) -> tuple[Any, Any]:
        decoder = make_decoder(_placed(GENERATOR, params, weights))
        return decoder.encode(ids), decoder.init_cache(ids.shape[0], slots)

    def encode(weights: dict[str, jax.Array], ids: jax.Array) -> tuple[tuple[jax.Array, ...], ...]:
        source, cache = read(weights, ids)
        return tuple(jax.tree.leaves(source)), tuple(jax.tree.leaves(cache))

    def step(
        forms: tuple[Any, Any], weights: dict[str, jax.Array], tokens: jax.Array, *flat: tuple[jax.Array, ...]
    ) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        source, cache = (jax.tree.unflatten(form, part) for form, part in zip(forms, flat, strict=True))
        decoder = make_decoder(_placed(GENERATOR, params, weights))
        logits, cache = decoder.step(tokens, source, cache)
        return logits[:, 0], tuple(jax.tree.leaves(cache))

    programs = {}
    for n in lengths:
        ids = _ids(rows, n)
        shapes = jax.eval_shape(read, weights, ids)
        forms = jax.tree.structure(shapes[0]), jax.tree.structure(shapes[1])
        flat = [tuple(jax.tree.leaves(part)) for part in shapes]
        programs[f"encode_{n}"] = _export(encode, weights, ids)
        programs[f"step_{n}"] = _export(partial(step, forms), weights, _ids(rows, 1), *flat)
    return programs


def _about(
    restored: Restored,
    dtype: jnp.dtype,
    lengths: tuple[int, ...],
    programs: dict[str, jax.export.Exported],
) -> dict[str, Any]:
    """What a reader of the folder needs to know, with an example to try it on."""
    word_ids = setup.generator_word_ids(restored.config, restored.tokenizers)
    task = make_task(restored.tasks[0], word_ids, restored.schema, writing(restored.config))
    given = Input(_WORDS, restored.schema.names[:1])
    options = replace(decode_options(restored.config), beam_size=1, batch_size=1)
    write = FreeGenerator(make_programs(restored.generator, restored.mesh), task, restored.mesh, options)
    (written,) = write(restored.generator_params, [given])
    matching = restored.matcher is not None
    return {
        "jax": jax.__version__,
        "calling_convention": next(iter(programs.values())).calling_convention_version,
        "platforms": PLATFORMS,
        "dtype": jnp.dtype(dtype).name,
        "lengths": {
            GENERATOR: lengths,
            **({MATCHER: few_lengths(restored.matcher.max_length)} if matching else {}),  # type: ignore[union-attr]
        },
        "max_target": restored.config.text.max_target,
        "eos_id": word_ids.tokenizer.eos_id,
        "types": {t.name: t.text for t in restored.schema.types},
        "type_threshold": restored.type_threshold,
        "example": {
            "words": _WORDS,
            "types": given.matched,
            "ids": make_source(task, given).ids.tolist(),
            "written": written.tokens,
        },
    }

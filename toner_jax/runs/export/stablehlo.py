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
from dataclasses import dataclass, replace
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
    restored = _in_dtype(restored, dtype)
    generator = _Model(
        GENERATOR, restored.generator, restored.generator_params, few_lengths(restored.config.text.max_source)
    )
    models, programs = [generator], _of_generator(generator, restored.config.text.max_target)
    if restored.matcher is not None:
        lengths = few_lengths(restored.matcher.max_length)
        models.append(matcher := _Model(MATCHER, restored.matcher, restored.matcher_params, lengths))
        programs |= _of_matcher(matcher)
    for name, exported in programs.items():
        (folder / f"{name}{SUFFIX}").write_bytes(exported.serialize())
    weights = {name: value for model in models for name, value in model.named().items()}
    save_tensors(folder / WEIGHTS, {name: np.asarray(jax.device_get(x)) for name, x in weights.items()})
    convention = next(iter(programs.values())).calling_convention_version
    about = _about(restored, dtype, models) | {"calling_convention": convention}
    text = json.dumps(about, indent=1, ensure_ascii=False)
    (folder / ABOUT).write_text(text + "\n", encoding="utf-8")
    for model in models:
        (folder / model.kind).mkdir()
        save_tokenizer(folder / model.kind, model.module.config, restored.tokenizers / model.kind)


def _in_dtype(restored: Restored, dtype: jnp.dtype) -> Restored:
    """Models that hold their weights and compute in it, so that the example is one of what is exported."""
    cast = partial(jax.tree.map, lambda x: x.astype(dtype))
    generator: Any = restored.generator
    matcher: Any = restored.matcher
    restored = replace(
        restored,
        generator=generator.clone(dtype=dtype),
        generator_params=cast(restored.generator_params),
    )
    if matcher is None:
        return restored
    return replace(restored, matcher=matcher.clone(dtype=dtype), matcher_params=cast(restored.matcher_params))


@dataclass(frozen=True)
class _Model:
    """One of the two, `kind`, with the lengths that its texts are padded to."""

    kind: str
    module: Any
    params: Any
    lengths: tuple[int, ...]

    def named(self) -> dict[str, jax.Array]:
        """Its parameters by kind/path."""
        leaves = jax.tree_util.tree_leaves_with_path(self.params)
        return {f"{self.kind}/{path_string(path)}": leaf for path, leaf in leaves}

    def specs(self) -> dict[str, jax.ShapeDtypeStruct]:
        """The shapes of `named`."""
        return {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in self.named().items()}

    def placed(self, weights: dict[str, jax.Array]) -> Any:
        """Named weights in the form of its parameters."""
        return jax.tree_util.tree_map_with_path(
            lambda path, _: weights[f"{self.kind}/{path_string(path)}"], self.params
        )


def _export(function: Callable[..., Any], *given: Any) -> jax.export.Exported:
    return jax.export.export(jax.jit(function), platforms=PLATFORMS)(*given)


def _ids(rows: Any, length: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((rows, length), jnp.int32)


def _of_matcher(model: _Model) -> dict[str, jax.export.Exported]:
    (rows,) = jax.export.symbolic_shape("b")

    def match(weights: dict[str, jax.Array], ids: jax.Array) -> jax.Array:
        return embed(model.module, model.placed(weights), ids)

    return {f"match_{n}": _export(match, model.specs(), _ids(rows, n)) for n in model.lengths}


def _of_generator(model: _Model, slots: int) -> dict[str, jax.export.Exported]:
    """`slots`: tokens that a cache has room for."""
    # The caches' form on accelerators.
    make_decoder = registry.of(model.module.config).make_decoder(model.module, False)
    weights = model.specs()
    (rows,) = jax.export.symbolic_shape("b")

    def read(weights: dict[str, jax.Array], ids: jax.Array) -> tuple[Any, Any]:
        decoder = make_decoder(model.placed(weights))
        return decoder.encode(ids), decoder.init_cache(ids.shape[0], slots)

    def encode(weights: dict[str, jax.Array], ids: jax.Array) -> tuple[tuple[jax.Array, ...], ...]:
        source, cache = read(weights, ids)
        return tuple(jax.tree.leaves(source)), tuple(jax.tree.leaves(cache))

    def step(
        forms: tuple[Any, Any], weights: dict[str, jax.Array], tokens: jax.Array, *flat: tuple[jax.Array, ...]
    ) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        source, cache = (jax.tree.unflatten(form, part) for form, part in zip(forms, flat, strict=True))
        decoder = make_decoder(model.placed(weights))
        logits, cache = decoder.step(tokens, source, cache)
        return logits[:, 0], tuple(jax.tree.leaves(cache))

    programs = {}
    for n in model.lengths:
        ids = _ids(rows, n)
        shapes = jax.eval_shape(read, weights, ids)
        forms = jax.tree.structure(shapes[0]), jax.tree.structure(shapes[1])
        flat = [tuple(jax.tree.leaves(part)) for part in shapes]
        programs[f"encode_{n}"] = _export(encode, weights, ids)
        programs[f"step_{n}"] = _export(partial(step, forms), weights, _ids(rows, 1), *flat)
    return programs


def _about(restored: Restored, dtype: jnp.dtype, models: list[_Model]) -> dict[str, Any]:
    """What a reader of the folder needs to know, with an example to try it on."""
    word_ids = setup.generator_word_ids(restored.config, restored.tokenizers)
    task = make_task(restored.tasks[0], word_ids, restored.schema, writing(restored.config))
    given = Input(_WORDS, restored.schema.names[:1])
    options = replace(decode_options(restored.config), beam_size=1, batch_size=1)
    write = FreeGenerator(make_programs(restored.generator, restored.mesh), task, restored.mesh, options)
    (written,) = write(restored.generator_params, [given])
    return {
        "jax": jax.__version__,
        "platforms": PLATFORMS,
        "dtype": jnp.dtype(dtype).name,
        "lengths": {model.kind: model.lengths for model in models},
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

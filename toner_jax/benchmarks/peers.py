"""The same weights in other libraries: transformers' `generate` on PyTorch, and CTranslate2."""

from __future__ import annotations

import copy
import functools
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from toner_jax.benchmarks.subject import Subject
from toner_jax.benchmarks.timing import Contender, Result, Run, Setting
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows
from toner_jax.runs.generator import FOLDER as GENERATOR
from toner_jax.runs.restore import save_pretrained
from toner_jax.tasks.output import Input, Output

# What each needs, and how it is installed.
LIBRARIES = {
    "transformers": (("torch", "transformers"), "install PyTorch"),
    "ctranslate2": (("torch", "transformers", "ctranslate2"), 'pip install "toner-jax[bench]" and PyTorch'),
}


def absent(library: str) -> str | None:
    """What to do about a library that this machine lacks; None of one that it has."""
    modules, advice = LIBRARIES[library]
    return None if all(importlib.util.find_spec(m) for m in modules) else f"not installed ({advice})"


def torch_device(mesh: Mesh) -> str | None:
    """PyTorch's name of the devices of a mesh; None of those that it does not run on here."""
    import torch

    platform = mesh.devices.flat[0].platform
    if platform == "gpu" and torch.cuda.is_available():
        return "cuda"
    return "cpu" if platform == "cpu" else None


def left_out(mesh: Mesh) -> dict[str, str]:
    """The libraries that cannot be measured on these devices, with what to do about it."""
    out = {name: reason for name in LIBRARIES if (reason := absent(name))}
    if "transformers" not in out and torch_device(mesh) is None:
        out["transformers"] = "its PyTorch does not run on these devices (install a build that does)"
    if "ctranslate2" not in out and not _compute_types(mesh):
        out["ctranslate2"] = "this build of it does not run on these devices"
    return out


def _compute_types(mesh: Mesh) -> tuple[str, ...]:
    """Those of CTranslate2 to measure on the devices of a mesh."""
    import ctranslate2

    if torch_device(mesh) == "cpu":
        return ("float32", "int8")
    if torch_device(mesh) is None or not ctranslate2.get_cuda_device_count():
        return ()
    supported = ctranslate2.get_supported_compute_types("cuda")
    return tuple(t for t in ("bfloat16", "int8_bfloat16") if t in supported)


def contenders(subject: Subject, folder: Path, batches: Sequence[int]) -> list[Contender]:
    """Those whose libraries are installed; the weights are exported to `folder`, an empty one, when one of
    them is first made."""
    without = left_out(subject.mesh)
    if "transformers" in without:
        return []
    on_cpu = torch_device(subject.mesh) == "cpu"
    exported = functools.cache(lambda: _load_torch(subject, folder / "exported"))
    model = functools.cache(lambda: _placed(exported(), subject))
    # On CPU, a small model alone may be faster on one thread than on two.
    settings = tuple(Setting(b, 1, threads) for b in batches for threads in ((2, 1) if on_cpu else (1,)))
    out = [
        Contender(
            "transformers",
            "transformers, PyTorch with SDPA",
            settings,
            lambda s: _transformers(subject, model(), s),
        )
    ]
    if "ctranslate2" in without:
        return out
    converted = folder / "converted"
    pieces = functools.cache(lambda: _convert(subject, converted))
    splits = ((2, 1), (1, 2)) if on_cpu else ((1, 1),)
    settings = tuple(Setting(b, *split) for b in batches for split in splits)

    def translate(compute_type: str) -> Callable[[Setting], Run]:
        return lambda s: _ctranslate2(subject, converted, pieces(), compute_type, s)

    return [
        *out,
        *(
            Contender(f"ctranslate2-{t}", f"CTranslate2, {t}", settings, translate(t))
            for t in _compute_types(subject.mesh)
        ),
    ]


def _load_torch(subject: Subject, folder: Path) -> Any:
    """The model in fp32, on the host."""
    from transformers import T5ForConditionalGeneration
    from transformers.utils import logging

    logging.set_verbosity_error()  # it warns of the output layer that it rightly leaves untied
    logging.disable_progress_bar()
    save_pretrained(subject.restored, folder)
    return T5ForConditionalGeneration.from_pretrained(folder / GENERATOR, attn_implementation="sdpa").eval()


def _placed(model: Any, subject: Subject) -> Any:
    """A copy where the mesh is, in the dtype in which ours computes."""
    import torch

    half = subject.restored.generator.dtype == jnp.bfloat16
    return copy.deepcopy(model).to(torch_device(subject.mesh), torch.bfloat16 if half else torch.float32)


def _transformers(subject: Subject, model: Any, setting: Setting) -> Run:
    import torch

    eos_id = subject.task.word_ids.tokenizer.eos_id

    def run(inputs: Sequence[Input]) -> Result:
        if model.device.type == "cpu":
            torch.set_num_threads(setting.threads)
        sources = subject.sources(inputs)
        outputs: list[Any] = [None] * len(sources)
        passes = rows = 0
        for chosen in length_sorted_batches([len(s) for s in sources], setting.batch):
            padded = pad_rows([sources[i] for i in chosen], len(sources[chosen[0]]), len(chosen))
            ids = torch.from_numpy(padded).long().to(model.device)
            with torch.inference_mode():
                written = model.generate(
                    input_ids=ids,
                    attention_mask=(ids != 0).long(),
                    max_new_tokens=subject.options.max_length,
                    do_sample=False,
                    num_beams=1,
                )[:, 1:]  # without the start
            passes += written.shape[1]
            rows += written.shape[1] * len(chosen)
            for i, row in zip(chosen, written.tolist(), strict=True):
                outputs[i] = _unscored(row[: row.index(eos_id)] if eos_id in row else row)
        return Result(outputs, passes, rows)

    return run


def _unscored(tokens: list[int]) -> Output:
    return Output(tokens, np.zeros(len(tokens), np.float32))


def _convert(subject: Subject, folder: Path) -> list[str]:
    """Writes the model as CTranslate2 reads it; returns its pieces by id."""
    from toner_jax.runs.export import ctranslate2

    folder.mkdir(parents=True)
    ctranslate2.save(folder, subject.restored)
    tokenizer = subject.task.word_ids.tokenizer
    return ctranslate2.vocabulary(tokenizer, subject.restored.generator.config.vocab_size)


def _ctranslate2(
    subject: Subject, folder: Path, pieces: list[str], compute_type: str, setting: Setting
) -> Run:
    import ctranslate2

    translator = ctranslate2.Translator(
        str(folder),
        device=str(torch_device(subject.mesh)),
        compute_type=compute_type,
        inter_threads=setting.workers,
        intra_threads=setting.threads,
    )
    ids = {piece: i for i, piece in enumerate(pieces)}

    def run(inputs: Sequence[Input]) -> Result:
        sources = [[pieces[i] for i in source] for source in subject.sources(inputs)]
        results = translator.translate_batch(
            sources,
            max_batch_size=setting.batch,  # it sorts them by length itself
            beam_size=1,
            max_decoding_length=subject.options.max_length,
        )
        outputs = [_unscored([ids[piece] for piece in r.hypotheses[0]]) for r in results]
        # Rows that have ended leave their batch, so every row takes as many passes as it has tokens,
        # and one for its end, unless it has no room.
        rows = sum(min(len(o.tokens) + 1, subject.options.max_length) for o in outputs)
        return Result(outputs, None, rows)

    return run

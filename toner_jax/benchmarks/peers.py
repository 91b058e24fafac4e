"""The same weights in other libraries: transformers' `generate` on PyTorch, and CTranslate2."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toner_jax.benchmarks.subject import Subject
from toner_jax.benchmarks.timing import Contender, Result, Run, Setting
from toner_jax.pipeline.batching import length_sorted_batches, pad_rows
from toner_jax.runs.generator import FOLDER as GENERATOR
from toner_jax.runs.restore import save_pretrained
from toner_jax.tasks.output import Input, Output
from toner_jax.text.tokenizers import SentencePieceTokenizer

# What each needs, and how it is installed.
LIBRARIES = {
    "transformers": (("torch", "transformers"), "install PyTorch"),
    "ctranslate2": (("torch", "transformers", "ctranslate2"), 'pip install "toner-jax[bench]" and PyTorch'),
}


def missing() -> dict[str, str]:
    """The libraries that this machine lacks, with what to do about it."""
    return {
        name: advice
        for name, (modules, advice) in LIBRARIES.items()
        if not all(importlib.util.find_spec(m) for m in modules)
    }


def contenders(subject: Subject, folder: Path, batches: Sequence[int]) -> list[Contender]:
    """Those whose libraries are installed; the weights are exported to `folder`, an empty one, when one of
    them is first made."""
    absent = missing()
    if "transformers" in absent:
        return []
    model = functools.cache(lambda: _load_torch(subject, folder / "exported"))
    # A small model alone may be faster on one thread than on two.
    settings = tuple(Setting(b, 1, threads) for b in batches for threads in (2, 1))
    out = [
        Contender(
            "transformers",
            "transformers, PyTorch with SDPA",
            settings,
            lambda s: _transformers(subject, model(), s),
        )
    ]
    if "ctranslate2" in absent:
        return out
    tokenizer, converted = subject.task.word_ids.tokenizer, folder / "converted"
    pieces = functools.cache(lambda: _convert(model(), tokenizer, converted))
    settings = tuple(Setting(b, *split) for b in batches for split in ((2, 1), (1, 2)))

    def translate(compute_type: str) -> Callable[[Setting], Run]:
        return lambda s: _ctranslate2(subject, converted, pieces(), compute_type, s)

    return [
        *out,
        *(
            Contender(f"ctranslate2-{t}", f"CTranslate2, {t}", settings, translate(t))
            for t in ("float32", "int8")
        ),
    ]


def _load_torch(subject: Subject, folder: Path) -> Any:
    from transformers import T5ForConditionalGeneration
    from transformers.utils import logging

    logging.set_verbosity_error()  # it warns of the output layer that it rightly leaves untied
    logging.disable_progress_bar()
    save_pretrained(subject.restored, folder)
    return T5ForConditionalGeneration.from_pretrained(folder / GENERATOR, attn_implementation="sdpa").eval()


def _transformers(subject: Subject, model: Any, setting: Setting) -> Run:
    import torch

    eos_id = subject.task.word_ids.tokenizer.eos_id

    def run(inputs: Sequence[Input]) -> Result:
        torch.set_num_threads(setting.threads)
        sources = subject.sources(inputs)
        outputs: list[Any] = [None] * len(sources)
        passes = rows = 0
        for chosen in length_sorted_batches([len(s) for s in sources], setting.batch):
            padded = pad_rows([sources[i] for i in chosen], len(sources[chosen[0]]), len(chosen))
            ids = torch.from_numpy(padded).long()
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


class _Vocabulary:
    """What CTranslate2's converter asks of a tokenizer."""

    def __init__(self, tokenizer: SentencePieceTokenizer):
        self._pieces = [tokenizer.piece(i) for i in range(tokenizer.vocab_size)]
        self.pad_token = tokenizer.piece(tokenizer.pad_id)
        self.eos_token = tokenizer.piece(tokenizer.eos_id)
        self.unk_token = tokenizer.piece(tokenizer.unk_id)

    def get_vocab(self) -> dict[str, int]:
        return {piece: i for i, piece in enumerate(self._pieces)}

    def convert_ids_to_tokens(self, id: int) -> str:
        return self._pieces[id]


def _convert(model: Any, tokenizer: SentencePieceTokenizer, folder: Path) -> list[str]:
    """Writes the model as CTranslate2 reads it; returns its pieces by id."""
    from ctranslate2.converters.transformers import T5Loader

    loader, vocabulary = T5Loader(), _Vocabulary(tokenizer)
    # transformers 5 calls every T5 tied, and the converter would scale the output of one that is not.
    model.config.tie_word_embeddings = bool(model.lm_head.weight is model.shared.weight)
    spec = loader(model, vocabulary)
    spec.validate()
    spec.optimize()
    folder.mkdir(parents=True)
    spec.save(str(folder))
    pieces: list[str] = loader.get_vocabulary(model, vocabulary)
    return pieces


def _ctranslate2(
    subject: Subject, folder: Path, pieces: list[str], compute_type: str, setting: Setting
) -> Run:
    import ctranslate2

    translator = ctranslate2.Translator(
        str(folder),
        device="cpu",
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

"""The generator as CTranslate2 reads it writes what ours writes, freely and greedily."""

from __future__ import annotations

import pytest

from toner_jax.commands import app
from toner_jax.inference.free import FreeGenerator
from toner_jax.runs.export.ctranslate2 import vocabulary
from toner_jax.runs.options import writing
from toner_jax.runs.recognizers import decode_options, make_programs
from toner_jax.tasks.output import Input
from toner_jax.tasks.registry import make_task

pytestmark = pytest.mark.slow
TEXTS = [
    "Judge Ivan Borcalski came to Selqua on Monday .",
    "Rain .",
    "The Kestrel 40 won the Lake Cup in May 1987 .",
]


@pytest.mark.parametrize("model", ["quickstart", "run"])
def test_it_writes_the_same(model, finished, tmp_path, capsys):
    import ctranslate2

    import toner_jax

    source = "quickstart" if model == "quickstart" else str(finished[0])
    assert app.main(["convert", f"--from={source}", f"--to={tmp_path / 'to'}", "--format=ctranslate2"]) == 0
    assert "for CTranslate2" in capsys.readouterr().out
    assert (tmp_path / "to" / "spiece.model").is_file()
    ner = toner_jax.load(source)
    r, tokenizer = ner._restored, ner.word_ids.tokenizer
    task = make_task(ner.tasks[0], ner.word_ids, ner.schema, writing(ner.config))
    inputs = [Input(text.split(), ner.schema.names[:2]) for text in TEXTS]
    ours = FreeGenerator(make_programs(r.generator, r.mesh), task, r.mesh, decode_options(ner.config))
    wanted = [output.tokens for output in ours(r.generator_params, inputs)]
    pieces = vocabulary(tokenizer, r.generator.config.vocab_size)
    sources = [[*task.prompt(i.words, i.matched).ids, tokenizer.eos_id] for i in inputs]
    translator = ctranslate2.Translator(str(tmp_path / "to"), device="cpu", compute_type="float32")
    found = translator.translate_batch(
        [[pieces[i] for i in ids] for ids in sources],
        beam_size=1,
        max_decoding_length=ours._options.max_length,
    )
    written = [[pieces.index(piece) for piece in result.hypotheses[0]] for result in found]
    assert written == wanted
    assert any(written)


def test_only_a_run_becomes_one(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    flags = [f"--from={tmp_path / 'empty'}", f"--to={tmp_path / 'to'}", "--format=ctranslate2"]
    assert app.main(["convert", *flags]) == 2
    assert "neither a run's work directory" in capsys.readouterr().err
    assert not (tmp_path / "to").exists()

"""How to add a task: mentions without types, `Mentions: [(mention, Bo), …]`, for corpora whose types do not matter.

A real one would touch three files:

* `toner_jax/tasks/mentions.py`: the class below, and nothing else;
* `toner_jax/tasks/registry.py`: its entry in `TASKS`;
* `toner_jax/runs/setup.py`: in `training_tasks`, when the configuration asks to train it.

Windows, prompts, decoding under its grammar, scores and alignment follow from the class.
"""

from __future__ import annotations

import jax
import pytest

from toner_jax.atoms import join
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.inference.options import DecodeOptions
from toner_jax.models import registry as models
from toner_jax.models.t5.config import T5Config
from toner_jax.models.toner import ToNER
from toner_jax.parallel.mesh import make_mesh
from toner_jax.pipeline.features import GeneratorFeatures
from toner_jax.runs.recognizers import make_programs, make_recognizer
from toner_jax.schema import Entity, EntityType, Schema, make_sentence
from toner_jax.tasks import registry
from toner_jax.tasks.entities import Entities
from toner_jax.tasks.grammar import entity_list
from toner_jax.tasks.prompts import Wording
from toner_jax.tasks.typed import Writing
from toner_jax.text.ids import WordIds
from toner_jax.text.tokenizers import load_sentencepiece
from toner_jax.text.words import sentence_from_text

MENTION = "mention"
HEAD = "Mentions:"
TEXTS = ("IL-2 gene expression", "", "NF-kappa B and NF-kappa B in the human T cell line . " * 8)


class Mentions(Entities):
    """All spans that are entities of whatever type. Outputs are read as those of `Entities`, behind their heading."""

    name = "mentions"

    def __init__(self, word_ids, schema, writing):
        super().__init__(word_ids, Schema(self.name, (EntityType(MENTION),)))

    def _wording(self):
        return Wording((("List everything that has a name in the text.",), ("Text:",)))

    def prompt(self, words, matched):
        return self._wording().prompt(self.word_ids, words)

    def target(self, sentence):
        spans = dict.fromkeys((e.start, e.end) for e in sentence.entities)
        items = [(MENTION, sentence.words[start:end]) for start, end in spans]
        return self.word_ids.phrase(HEAD) + self.word_ids.items(items)

    def overhead(self):
        return len(self.prompt((), None).ids) + 1  # the end of sequence

    def grammar(self):
        return entity_list(self.word_ids, [MENTION], self.word_ids.phrase(HEAD))


@pytest.fixture
def task(monkeypatch, shared):
    monkeypatch.setitem(registry.TASKS, Mentions.name, Mentions)
    word_ids = WordIds(load_sentencepiece(shared / "t5_vocab", "hf"))
    return registry.make_task("mentions", word_ids, BUILTIN["jnlpba"], Writing())


def test_its_samples(task):
    spans = [Entity(0, 1, "protein"), Entity(0, 2, "dna"), Entity(0, 1, "dna")]
    sentence = make_sentence("s", ["IL-2", "gene", "expression"], spans, BUILTIN["jnlpba"])
    prompt, target = task.prompt(sentence.words, None), task.target(sentence)
    assert task.word_ids.decode(prompt.ids) == (
        "List everything that has a name in the text. Text: IL-2 gene expression"
    )
    assert task.word_ids.decode(target) == "Mentions: [(mention, IL-2 gene), (mention, IL-2)]"
    main = Entities(task.word_ids, BUILTIN["jnlpba"])
    features = GeneratorFeatures([main, task])
    example = features.example(task, sentence, None)
    assert tuple(example.target[:-1]) == target
    assert example.present.tolist() == [name in ("protein", "dna") for name in main.schema.names]
    assert features.fits(sentence)
    assert not GeneratorFeatures([main, task], max_target=len(target)).fits(sentence)


@pytest.mark.slow
def test_it_is_decoded_under_its_grammar(task, own, shared):
    """From random weights, whatever the text: well formed, of spans of the text, each with a score."""
    config = T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_decoder_layers=1, num_heads=2)
    model = ToNER(config, num_types=1)
    seed = 4 if shared == own else 0  # of weights that find something
    params = models.initializer(model)(jax.random.key(seed))
    options = DecodeOptions(max_source=task.overhead() + 32, max_length=64, batch_size=4, window_overlap=4)
    recognizer = make_recognizer(task, make_programs(model, make_mesh(1)), make_mesh(1), options)
    sentences = [sentence_from_text(str(i), text) for i, text in enumerate(TEXTS)]
    found = recognizer(params, sentences, None)
    for sentence, result in zip(sentences, found, strict=True):
        assert not result.dropped
        assert all(line.startswith("Mentions: [") for line in result.output.splitlines())
        assert all(e.type == MENTION and 0 <= e.start < e.end <= len(sentence.words) for e in result.entities)
        assert all(0 < s.joint <= 1.00001 for s in result.scores)
        written = {string for _, string in result.items}
        assert {join(sentence.words[e.start : e.end]) for e in result.entities} <= written
    assert len(found[2].output.splitlines()) > 1  # windows
    assert any(r.entities for r in found)

"""What stops a training, or leaves it with less than was meant, is said before any begins: by a dry run and by a start
alike, in one line."""

import json
import random
from dataclasses import replace

import jax
import pytest
import tiny

from toner_jax import config as configuration
from toner_jax import config_keys
from toner_jax.errors import UserError
from toner_jax.models import registry
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.hf import weights
from toner_jax.models.t5.config import T5Config
from toner_jax.runs import checks, run, setup
from toner_jax.runs.marker import MARKER, Marker, as_json
from toner_jax.runs.plan import describe
from toner_jax.text.train_tokenizers import Corpus, train_sentencepiece, train_wordpiece

WORDS = [
    "the",
    "old",
    "man",
    "from",
    "Lima",
    "sold",
    "a",
    "red",
    "boat",
    "to",
    "Ann",
    "Bo",
    "near",
    "the",
    "lake",
]
SCHEMA = {"person": "Names of people.", "place": "Names of places."}
T5 = T5Config(vocab_size=300, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_decoder_layers=1, num_heads=4)
BERT = BertConfig(
    vocab_size=300, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
)


def row(i, *entities):
    words = [*WORDS[:4], f"{WORDS[4]}{i}", *WORDS[5:]]
    return {"words": words, "entities": [list(e) for e in entities or [(4, 5, "place"), (10, 12, "person")]]}


def without(i):
    return {**row(i), "entities": []}


ROWS = {"train": [row(i) for i in range(12)], "dev": [row(20), row(21)], "test": [row(30), row(31)]}


def write(folder, **splits):
    """A data set; a split that is None is missing."""
    folder.mkdir(exist_ok=True)
    for name, rows in (ROWS | splits).items():
        (folder / f"{name}.jsonl").unlink(missing_ok=True)
        if rows is not None:
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (folder / "schema.json").write_text(json.dumps(SCHEMA))


def settings(folder, **keys):
    c = configuration.base()
    configuration.set_scratch(c)
    values = {
        **tiny.SETTINGS, "data.format": "jsonl", "data.dir": str(folder / "data"), "data.name": "own",
        "data.schema": str(folder / "data" / "schema.json"), "tokenizer.generator_vocab_size": 300,
        "tokenizer.matcher_vocab_size": 300, **keys,
    }  # fmt: skip
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        if not section.startswith("data.generated"):
            (config_keys.get(c, section) if section else c)[name] = value
    return c


@pytest.fixture(autouse=True)
def begun(monkeypatch):
    """The stages that a start has begun; none is ever run."""
    stages = []
    monkeypatch.setattr(run, "_execute_stages", lambda ready, *_: stages.extend(ready.stages) or {})
    return stages


def checkpoint(folder, config, name="checkpoint"):
    """A Hugging Face folder of a tiny model with random weights and a tokenizer."""
    target, architecture = folder / name, registry.of(config)
    model = architecture.module(config)
    params = jax.jit(registry.initializer(model))(jax.random.key(0))
    weights.save(target, architecture.hf, params, config)
    lines = [" ".join(WORDS), *("[(person, place)]", "List all named entities of type", "may exist in text.")]
    train = train_sentencepiece if architecture.kind == "generator" else train_wordpiece
    train(target, Corpus(lines * 5), 200)
    return target


def no_weights(folder):
    (checkpoint(folder, T5) / "model.safetensors").unlink()
    return {"generator.checkpoint": str(folder / "checkpoint")}


def other_shape(folder):
    path = checkpoint(folder, T5) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"d_ff": 32}))
    return {"generator.checkpoint": str(folder / "checkpoint")}


def too_few_embeddings(folder):
    path = checkpoint(folder, replace(T5, vocab_size=20))
    return {"generator.checkpoint": str(path)}


def foreign_tokenizer(folder):
    target = checkpoint(folder, T5)
    (target / "spiece.model").unlink()
    whole = {
        "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
        "pre_tokenizer": {"type": "ByteLevel"},
    }
    (target / "tokenizer.json").write_text(json.dumps(whole))
    return {"generator.checkpoint": str(target)}


def unspellable(folder):
    (folder / "data" / "schema.json").write_text(json.dumps(SCHEMA | {"straße☃": "Streets."}))
    return {"tokenizer.generator": str(checkpoint(folder, T5))}


def data(**splits):
    return lambda folder: write(folder / "data", **splits) or {}


def keys(**values):
    return lambda folder: {name.replace("__", "."): value for name, value in values.items()}


NOISE = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=400))  # no pieces are learned of it
LONG = {"words": [NOISE[:200], NOISE[200:]], "entities": [[0, 2, "person"]]}
IN_WORD = {"text": "Annabel came", "entities": [{"start": 0, "end": 3, "label": "person"}]}
# What to change about a run that is good, and what is said.
STOPS = {
    "no entities in dev": (data(dev=[without(1)]), "the dev split has no entities: "),
    "none that can be reached": (data(dev=[IN_WORD]), "the dev split has no entities that can be reached: "),
    "none among those drawn": (
        lambda f: (
            write(f / "data", dev=[row(1), *(without(i) for i in range(30))]) or {"eval.dev_max_sentences": 1}
        ),
        "that are drawn for eval.dev_max_sentences=1 have no entities",
    ),
    "none in train": (
        lambda f: write(f / "data", train=[without(1)]) or {"matcher.null_logit": False},
        "the training split has no entities",
    ),
    "an empty split": (data(test=[]), "test.jsonl"),
    "a missing split": (data(test=None), "test"),
    "a label that the schema lacks": (data(dev=[row(1, (0, 1, "ship"))]), "dev.jsonl:1: "),
    "a type that cannot be spelled": (unspellable, "the tokenizer cannot spell 'straße☃'"),
    "too many types": (keys(text__max_source=20), "text.max_source=20: the instruction with 2 types"),
    "what no limit holds": (data(train=[*ROWS["train"], LONG]), "words that cannot be cut without cutting"),
    "no checkpoint": (keys(generator__checkpoint="/no/such/folder"), "'/no/such/folder': no such folder"),
    "no matcher": (keys(matcher__checkpoint="/no/such/folder"), "'/no/such/folder': no such folder"),
    "no weights": (no_weights, "holds neither model.safetensors nor"),
    "weights of another shape": (other_shape, "has shape"),
    "another architecture": (
        lambda f: {"generator.checkpoint": str(checkpoint(f, BERT))},
        "model_type 'bert' is not supported as a generator",
    ),
    "a tokenizer of another kind": (foreign_tokenizer, "model 'BPE' is not supported, only 'Unigram'"),
    "too few embeddings": (too_few_embeddings, "has embeddings for 20; resize them"),
    "no room to copy": (keys(generator__model__num_heads=3), "generator.model.init='copy' needs"),
    "a bad mesh": (keys(mesh__fsdp=3), "mesh.fsdp=3"),
}


def of(cases):
    """Their names; slow are those that train a tokenizer or read a long text."""
    slow = {"a type that cannot be spelled", "too few embeddings", "another language", "long descriptions"}
    slow |= {"added tokens that are not read", "words that are not read"}
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in cases]


@pytest.mark.parametrize("name", of(STOPS))
def test_what_stops_a_run(name, tmp_path, begun):
    write(tmp_path / "data")
    change, message = STOPS[name]
    config = settings(tmp_path, **change(tmp_path))
    lines = []
    for start in (describe, run.execute):
        with pytest.raises(UserError) as error:
            start(config, tmp_path / "run")
        lines.append(str(error.value))
    assert lines[0] == lines[1]
    assert message in lines[0]
    assert "\n" not in lines[0]
    assert begun == []
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("below", ["", "below"])
def test_a_file_where_the_work_directory_should_be(tmp_path, below):
    write(tmp_path / "data")
    file = tmp_path / "run"
    file.write_text("mine")
    workdir = file / below if below else file
    for start in (describe, run.execute):
        with pytest.raises(UserError, match=r"cannot be written .*run is no folder.; choose another workdir"):
            start(settings(tmp_path), workdir)
    assert file.read_text() == "mine"


def added(folder):
    target = checkpoint(folder, T5)
    tokens = {"New York": 200, "{": 201, "IL-2": 202}
    (target / "added_tokens.json").write_text(json.dumps(tokens))
    return {"generator.checkpoint": str(target)}


def described_at_length(folder):
    (folder / "data" / "schema.json").write_text(json.dumps(SCHEMA | {"ship": "A ship. " * 300}))
    return {"text.max_source": 256}


def strange_words(folder):
    words = ["☃", "漢", "☂", "字"] * 3
    rows = [{"words": [*words, f"x{i}"], "entities": [[0, 1, "person"]]} for i in range(9)]
    write(folder / "data", train=rows)
    both = {"generator": T5, "matcher": BERT}
    return {f"tokenizer.{kind}": str(checkpoint(folder, c, kind)) for kind, c in both.items()}


WARNINGS = {
    "long descriptions": (
        described_at_length,
        ["types described at more length than the type matcher reads"],
    ),
    "another language": (
        strange_words,
        [
            "matcher: 87% of the pieces of train are unknown",
            "generator: 81% of the pieces of train are unknown",
        ],
    ),
    "added tokens that are not read": (
        added,
        [
            "generator: tokens added to its tokenizer that no text is read as: 'New York' (it has white space), "
            "'IL-2' (it is no single atom; tokenizer.ids=words reads it)"
        ],
    ),
    "entities of symbols": (
        data(train=[row(1), {"words": ["slept", "!", "—"], "entities": [[1, 2, "person"], [1, 3, "place"]]}]),
        [
            "2 entities of train have neither a letter nor a digit, and such are not found: set decode.symbols=True"
        ],
    ),
    "words that are not read": (
        data(test=[row(1), {"words": ["y" * 400], "entities": []}]),
        ["test: 1 words longer than an input (text.max_source=128) are not read, the first in sentence"],
    ),
}


@pytest.mark.parametrize("name", of(WARNINGS))
def test_what_leaves_less_than_was_meant(name, tmp_path, begun, said, caplog):
    write(tmp_path / "data")
    change, expected = WARNINGS[name]
    config, lines = settings(tmp_path, **change(tmp_path)), []
    for start in (describe, run.execute):
        caplog.clear()
        start(config, tmp_path / "run")
        lines.append(said())
    assert begun
    for message in expected:
        for spoken in lines:
            assert sum(message in line for line in spoken) == 1, spoken


def test_a_batch_that_the_mesh_does_not_divide(tmp_path, said, monkeypatch):
    from jax.sharding import AbstractMesh

    from toner_jax.runs import checks

    checks._check_batch(settings(tmp_path), "matcher", AbstractMesh((8, 4, 1), ("data", "fsdp", "tensor")))
    assert said() == []
    checks._check_batch(settings(tmp_path), "matcher", AbstractMesh((5, 1, 1), ("data", "fsdp", "tensor")))
    assert said() == [
        "matcher.batch_size=32 is no multiple of mesh.data·mesh.fsdp = 5: a step takes 35 samples"
    ]


def test_a_stage_that_is_complete_is_not_looked_at(tmp_path, begun, said):
    write(tmp_path / "data", dev=[without(1)])
    config, workdir = settings(tmp_path), tmp_path / "run"
    stages = run.plan_stages(config, run.read_data(config))
    for name in ("matcher", "generator"):
        stage = stages[name]
        Marker(as_json(stage.fingerprint), as_json(stage.selection), complete=True).write(
            workdir / name / MARKER
        )
    run.execute(config, workdir)
    assert begun == ["data", "setup", "matcher", "types", "generator", "evaluate"]
    assert "stage generator: skip" in describe(config, workdir)
    config.generator.epochs = 3.0
    with pytest.raises(UserError, match="the dev split has no entities"):
        run.execute(config, workdir)


@pytest.mark.parametrize("mode", [0o755, 0o700, None])
def test_the_work_directory_keeps_its_mode(tmp_path, mode):
    """Setup files are made elsewhere, in a folder that others cannot read."""
    made, workdir = tmp_path / "made", tmp_path / "run"
    (made / "tokenizers").mkdir(parents=True)
    (made / "schema.json").write_text("{}")
    made.chmod(0o700)
    workdir.mkdir(mode or 0o777)
    before = workdir.stat().st_mode
    setup.install(made, workdir)
    assert workdir.stat().st_mode == before
    assert sorted(p.name for p in workdir.iterdir()) == ["schema.json", "tokenizers"]


@pytest.mark.parametrize(("left", "refused"), [(1_000, "generator|matcher"), (1 << 40, "")])
def test_a_state_that_the_first_host_cannot_gather_is_refused(left, refused, tmp_path, monkeypatch, begun):
    """Where processes share no files. Gathered twice, so half of the memory is not enough either."""
    write(tmp_path / "data")
    monkeypatch.setattr(checks.processes, "share_files", lambda: False)
    monkeypatch.setattr(checks, "available_bytes", lambda: left)
    config = settings(tmp_path)
    if not refused:
        run.execute(config, tmp_path / "run")
        assert begun
        return
    with pytest.raises(
        UserError, match=rf"share_files=false: .*the ({refused})'s parameters and moments.* has 0\.00 MB of"
    ):
        run.execute(config, tmp_path / "run")
    assert not begun
    assert not (tmp_path / "run").exists()

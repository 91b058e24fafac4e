"""A checkpoint's tokenizer goes along whole, added tokens too: into the work directory, and into what is exported."""

import json

import jax
import pytest

from toner_jax import config as configuration
from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.models import registry
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.hf import weights
from toner_jax.models.t5.config import T5Config
from toner_jax.pipeline.corpus import generator_corpus, matcher_corpus
from toner_jax.runs import restore, setup
from toner_jax.runs.export import pretrained
from toner_jax.text.tokenizers import load_sentencepiece, load_wordpiece
from toner_jax.text.train_tokenizers import train_sentencepiece, train_wordpiece

SENTENCES = generate(0, {"train": 200})["train"]
STRINGS = ["{", "a{b", "Selqua", "}}", "straße"]
LOADERS = {"generator": load_sentencepiece, "matcher": load_wordpiece}
SIZES = {
    "generator": {
        "d_model": 16,
        "d_kv": 4,
        "d_ff": 16,
        "num_layers": 1,
        "num_decoder_layers": 1,
        "num_heads": 4,
    },
    "matcher": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16},
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Both models with resized embeddings, as transformers 5 saves a tokenizer: `tokenizer.json` alone."""
    from transformers import BertTokenizer, T5Tokenizer

    folder, trained = tmp_path_factory.mktemp("checkpoints"), tmp_path_factory.mktemp("trained")
    train_sentencepiece(trained / "generator", generator_corpus(SENTENCES, SCHEMA), 400)
    train_wordpiece(trained / "matcher", matcher_corpus(SENTENCES, SCHEMA), 400)
    kinds = {
        "generator": (T5Tokenizer, T5Config, {"extra_ids": 0}),
        "matcher": (BertTokenizer, BertConfig, {}),
    }
    for kind, (tokenizer_class, config_class, options) in kinds.items():
        tokenizer = tokenizer_class.from_pretrained(trained / kind, **options)
        tokenizer.add_tokens(["{", "}"])
        tokenizer.save_pretrained(folder / kind)
        config = config_class(vocab_size=len(tokenizer), **SIZES[kind])
        architecture = registry.of(config)
        params = jax.jit(registry.initializer(architecture.module(config)))(jax.random.key(0))
        weights.save(folder / kind, architecture.hf, params, config)
    return folder


def ids(folder, kind):
    return LOADERS[kind](folder, "hf").encode(STRINGS)


@pytest.mark.slow
@pytest.mark.parametrize("kind", LOADERS)
def test_into_the_work_directory_and_out_again(checkpoints, tmp_path, kind):
    from transformers import AutoTokenizer

    config = configuration.base()
    for name in LOADERS:
        config[name].checkpoint = str(checkpoints / name)
    setup.prepare(config, tmp_path / "work", SENTENCES, SCHEMA)
    recorded = json.loads((tmp_path / "work" / setup.MODELS).read_text())[kind]["config"]
    tokenizers = tmp_path / "work" / setup.TOKENIZERS
    expected = ids(checkpoints / kind, kind)
    (brace,), *_ = expected
    assert brace >= recorded["vocab_size"] - 2
    assert ids(tokenizers / kind, kind) == expected
    model_config = pretrained.read_config(str(checkpoints / kind), kind)
    model = registry.of(model_config).module(model_config)
    params = jax.jit(registry.initializer(model))(jax.random.key(0))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "added_tokens.json").write_text('{"of an earlier model": 7}')
    restore._save_model(tmp_path / "out", model, params, tokenizers / kind, "float32")
    pretrained.write_orbax(tmp_path / "orbax", model_config, params, checkpoints / kind)
    assert ids(tmp_path / "out", kind) == ids(tmp_path / "orbax", kind) == expected
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert [tuple(theirs(s, add_special_tokens=False).input_ids) for s in STRINGS] == expected
    # A run from what was exported begins with the same.
    pretrained.check_weights(
        str(tmp_path / "orbax"),
        registry.of(model_config).hf,
        jax.eval_shape(registry.initializer(model), jax.random.key(0)),
    )

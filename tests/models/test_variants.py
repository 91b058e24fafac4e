"""The published sizes, and the variants that a config.json may describe."""

import json
from dataclasses import replace

import compare_sizes
import pytest
from compare_sizes import T5_V1_0_SMALL

from toner_jax.errors import UserError
from toner_jax.models import registry
from toner_jax.models.bert.config import BertConfig
from toner_jax.models.bert.hugging_face import config_of
from toner_jax.models.hf.config import ConfigFile
from toner_jax.models.t5.config import T5Config


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name.endswith(("T5 large", "xl")) else name
        for name in compare_sizes.PUBLISHED
    ],
)
def test_parameter_counts(name):
    assert compare_sizes.counted(name) == compare_sizes.PUBLISHED[name][1]


@pytest.mark.parametrize("make", [T5Config.flan, BertConfig.gte])
def test_unknown_sizes_list_the_known_ones(make):
    with pytest.raises(UserError, match=r"'huge': the sizes are small, base, large"):
        make("huge")


def t5_config(folder):
    return registry.read_config(folder, "generator")


def bert_config(folder, pooler=True):
    """A BERT's, without looking for the pooler among its tensors."""
    return config_of(ConfigFile.read(folder), pooler)


def write_config(folder, base, **changes):
    config = {key: value for key, value in {**base, **changes}.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


# As published, without keys that say nothing here: the oldest T5 and BERT files, Flan-T5's, mT5's.
T5_SMALL = {
    "model_type": "t5",
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_heads": 8,
    "num_layers": 6,
    "relative_attention_num_buckets": 32,
    "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-06,
    "is_encoder_decoder": True,
    "pad_token_id": 0,
    "eos_token_id": 1,
}
FLAN_SMALL = T5_SMALL | {
    "d_ff": 1024,
    "num_heads": 6,
    "num_layers": 8,
    "num_decoder_layers": 8,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
    "relative_attention_max_distance": 128,
    "decoder_start_token_id": 0,
}
MT5_SMALL = FLAN_SMALL | {"model_type": "mt5", "vocab_size": 250112}
GTE_SMALL = {
    "model_type": "bert",
    "vocab_size": 30522,
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "layer_norm_eps": 1e-12,
}


@pytest.mark.parametrize(
    ("published", "config"),
    [
        (T5_SMALL, T5_V1_0_SMALL),
        (FLAN_SMALL, T5Config.flan("small")),
        (FLAN_SMALL | {"num_decoder_layers": 3}, replace(T5Config.flan("small"), num_decoder_layers=3)),
        (MT5_SMALL, replace(T5Config.flan("small"), vocab_size=250112)),
    ],
    ids=["t5", "flan", "uneven", "mt5"],
)
def test_published_t5_configs(tmp_path, published, config):
    assert t5_config(write_config(tmp_path, published)) == config


def test_published_bert_config(tmp_path):
    folder = write_config(tmp_path, GTE_SMALL)
    assert bert_config(folder, pooler=True) == BertConfig.gte("small")
    assert bert_config(folder, pooler=False) == replace(BertConfig.gte("small"), pooler=False)


# transformers' two ways of saying whether a T5 scales its logits, and with it whether ours is tied.
@pytest.mark.parametrize(
    ("changes", "tied"),
    [
        ({}, True),
        ({"tie_word_embeddings": True}, True),
        ({"tie_word_embeddings": False}, False),
        ({"tie_word_embeddings": True, "scale_decoder_outputs": False}, False),
        ({"tie_word_embeddings": False, "scale_decoder_outputs": True}, True),
        ({"model_type": "mt5", "tie_word_embeddings": True}, False),
    ],
)
def test_tied_where_logits_are_scaled(tmp_path, changes, tied):
    assert t5_config(write_config(tmp_path, T5_SMALL, **changes)).tie_embeddings is tied


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model_type": "bart"},
            r"config\.json: model_type 'bart' is not supported as a generator, only t5, mt5$",
        ),
        (
            {"model_type": "bert"},
            r"config\.json: model_type 'bert' is not supported as a generator, only t5, mt5$",
        ),
        (
            {"model_type": ...},
            r"config\.json: model_type None is not supported as a generator, only t5, mt5$",
        ),
        (
            {"feed_forward_proj": "gated-silu"},
            r"feed_forward_proj 'gated-silu' is not supported, only relu, gat",
        ),
        ({"is_encoder_decoder": False}, r"is_encoder_decoder False is not supported, only True$"),
        ({"eos_token_id": 2}, r"eos_token_id 2 is not supported, only 1$"),
        ({"d_model": ...}, r"config\.json: lacks d_model$"),
        ({"d_ff": "2048"}, r"d_ff must be a positive integer, not '2048'$"),
        ({"num_layers": 0}, r"num_layers must be a positive integer, not 0$"),
        ({"num_decoder_layers": 1.5}, r"num_decoder_layers must be a positive integer, not 1\.5$"),
        ({"dropout_rate": "0.1"}, r"dropout_rate must be a number like 0\.1, not '0\.1'$"),
    ],
)
def test_refused_t5_configs(tmp_path, changes, message):
    with pytest.raises(UserError, match=message) as error:
        t5_config(write_config(tmp_path, T5_SMALL, **changes))
    assert str(error.value).startswith(str(tmp_path / "config.json"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_act": "relu"}, r"hidden_act 'relu' is not supported, only 'gelu'$"),
        ({"position_embedding_type": "relative_key"}, r"'relative_key' is not supported, only 'absolute'$"),
        ({"is_decoder": True}, r"is_decoder True is not supported, only False$"),
        ({"hidden_size": ...}, r"config\.json: lacks hidden_size$"),
    ],
)
def test_refused_bert_configs(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        bert_config(write_config(tmp_path, GTE_SMALL, **changes))


@pytest.mark.parametrize("model_type", ["roberta", "t5"])
def test_what_is_no_matcher(tmp_path, model_type):
    folder = write_config(tmp_path, GTE_SMALL, model_type=model_type)
    with pytest.raises(
        UserError, match=rf"model_type '{model_type}' is not supported as a matcher, only bert$"
    ):
        registry.read_config(folder, "matcher")


def test_config_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match=r"config\.json: no such file"):
        t5_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json: not a JSON file"):
        t5_config(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UserError, match=r"config\.json: a JSON object is wanted, not a list"):
        t5_config(tmp_path)

"""Which back end `tokenizer.backend` stands for."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from toner_jax.data.corpora.generated import SCHEMA, generate
from toner_jax.errors import UserError
from toner_jax.pipeline.corpus import generator_corpus, matcher_corpus
from toner_jax.text import tokenizers
from toner_jax.text.tokenizers import load_sentencepiece, load_wordpiece
from toner_jax.text.train_tokenizers import train_sentencepiece, train_wordpiece

LOADERS = {"t5": load_sentencepiece, "bert": load_wordpiece}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Vocabularies trained on generated text."""
    folder = tmp_path_factory.mktemp("trained")
    sentences = generate(0, {"train": 300})["train"]
    train_sentencepiece(folder, generator_corpus(sentences, SCHEMA), 400)
    train_wordpiece(folder, matcher_corpus(sentences, SCHEMA), 500)
    return folder


@pytest.fixture(autouse=True)
def _found_anew():
    tokenizers._found_backend.cache_clear()
    yield
    tokenizers._found_backend.cache_clear()


@pytest.mark.parametrize("kind", LOADERS)
def test_tensorflow_text_that_is_not_installed(folders, monkeypatch, kind, said):
    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    with pytest.raises(
        UserError, match=r"needs tensorflow-text .*set tokenizer\.backend to auto or hf"
    ) as error:
        LOADERS[kind](folders, "tf_text")
    assert "\n" not in str(error.value)
    expected = LOADERS[kind](folders, "hf").encode(["a"])  # the other one does without
    assert LOADERS[kind](folders, "auto").encode(["a"]) == expected
    assert said() == []


def test_tensorflow_text_that_cannot_be_imported(folders, monkeypatch, tmp_path, said):
    """Auto says so, once, and goes on with the other one."""
    (tmp_path / "tensorflow_text.py").write_text("raise TypeError('Descriptors cannot be created directly')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("tensorflow", "tensorflow_text"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow", ModuleType("tensorflow"))
    assert type(load_wordpiece(folders, "auto")) is type(load_wordpiece(folders, "hf"))
    assert type(load_sentencepiece(folders, "auto")) is type(load_sentencepiece(folders, "hf"))
    assert said() == [
        "TypeError('Descriptors cannot be created directly'): TensorFlow Text cannot be imported; "
        "tokenizer.backend=hf, with the same ids"
    ]


def test_auto_is_tensorflow_text_where_it_is_there(folders):
    assert type(load_wordpiece(folders, "auto")) is type(load_wordpiece(folders, "tf_text"))

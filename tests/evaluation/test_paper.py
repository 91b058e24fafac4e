"""The paper's tables are as they are printed, its settings are the configurations', and runs stand beside them."""

import re

import pytest
import tiny
from shared_data import SHARED

from toner_jax.commands import config_file
from toner_jax.config_keys import get
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.evaluation import paper
from toner_jax.evaluation.paper import RESULTS, SETTINGS, THRESHOLDS, beside
from toner_jax.evaluation.scoring import Counts

SCORE = re.compile(r"\d\d\.\d\d(?=\D|$)")


def printed() -> dict[int, list[tuple[str, list[float | None]]]]:
    """By table, its rows as a reader of the paper sees them: the model, and its scores or dashes."""
    found: dict[int, list] = {}
    rows: list = []
    for line in (SHARED / "paper" / "ToNER.md").read_text().splitlines():
        name, *cells = re.sub("<.*?>", "", line).split("\t")
        scores = [None if cell == "-" else re.match(r"\d\d\.\d\d", cell) for cell in cells]
        if cells and all(cell == "-" or score for cell, score in zip(cells, scores, strict=True)):
            rows.append((name, [score and float(score.group()) for score in scores]))
        if table := re.match(r"Table (\d):", line):
            found[int(table.group(1))], rows = rows, []
    return found


@pytest.mark.skipif(not (SHARED / "paper" / "ToNER.md").is_file(), reason="the paper is not here")
def test_the_tables_are_the_printed_ones():
    ours: dict[int, dict[str, list[float | None]]] = {}
    for r in RESULTS:
        scores = [r.f1] if r.table == 6 else [r.precision, r.recall, r.f1]
        ours.setdefault(r.table, {}).setdefault(r.model, []).extend(scores)
    theirs = printed()
    for table, rows in ours.items():
        assert list(rows.values()) == [scores for _, scores in theirs[table]]
        for model, (name, _) in zip(rows, theirs[table], strict=True):
            # Sizes are subscripts, which a reader of the page takes for "x1", "XL" or "xl".
            plain = re.sub(r"\W|\(.*?\)", "", name.lower().replace("x1", "xl"))
            assert plain.startswith(re.sub(r"\W|_|\(.*?\)", "", model.lower())[:9])


@pytest.mark.parametrize("dataset", THRESHOLDS)
@pytest.mark.parametrize("variant", ["", ":large", ":xl", ":xxl"])
def test_every_configuration_has_the_paper_s_settings(dataset, variant):
    config = config_file.load(f"{tiny.ROOT}/configs/{dataset}.py{variant}", []).config
    expected = dict(SETTINGS)
    if variant == ":xxl":
        expected["generator.batch_size"] = paper.XXL_BATCH_SIZE
    assert {key: get(config, key) for key in expected} == expected
    assert config.matcher.type_threshold == THRESHOLDS[dataset]
    assert config.generator.checkpoint == f"google/flan-t5-{variant[1:] or 'large'}"


@pytest.mark.parametrize("dataset", [*THRESHOLDS, "wnut17", "custom"])
def test_to_the_letter_is_another_configuration_in_these_keys_alone(dataset):
    def flat(variant: str) -> dict:
        return keys_of(config_file.load(f"{tiny.ROOT}/configs/{dataset}.py{variant}", []).config.to_dict())

    changed = {
        "tokenizer.ids": "words",
        "generator.loss_normalization": "sequence",
        "generator.clip_norm": 0.0,
        "matcher.clip_norm": 0.0,
        "decode.grammar": False,
        "decode.symbols": True,
    }
    for variant in ("", "xl,"):
        default, letter = flat(f":{variant}".rstrip(":,")), flat(f":{variant}paper")
        assert {key: letter[key] for key in letter if letter[key] != default[key]} == changed
        assert letter.keys() == default.keys()


def test_the_authors_configuration_departs_where_their_code_does():
    """As read in jiangguochaoGG/ToNER: main.py, data/flat_cls.py and data/nest_cls.py."""
    changed = {
        "tokenizer.ids": "words",
        "dtype": "float32",
        "matcher.batch_size": 16,
        "generator.batch_size": 16,
        "generator.prompts": "authors",
        "generator.unique_pairs": True,
        "generator.pool": "prompt",
        "generator.type_recognition_once": True,
        "generator.clip_norm": 0.0,
        "generator.decay_all": True,
        "eval.start": pytest.approx(10 / 30),
        "eval.dev_max_sentences": 0,
        "decode.grammar": False,
        "decode.symbols": True,
        "decode.max_length": 256,
    }
    own = {
        "conll2003": {"matcher.type_threshold": 0.95},
        "jnlpba": {},
        "ontonotes": {"data.schema": "ontonotes-authors"},
        "ace2004": {},
        "ace2005": {},
        "wnut17": {"data.schema": "wnut17-authors"},
    }
    for name, more in own.items():
        default, theirs = (
            keys_of(config_file.load(f"{name}:{v}", []).config.to_dict()) for v in ("xl", "xl,authors")
        )
        assert {key: theirs[key] for key in theirs if theirs[key] != default[key]} == changed | more, name
    names = {
        name: set(BUILTIN[f"{name}-authors"].names) ^ set(BUILTIN[name].names)
        for name in ("ontonotes", "wnut17")
    }
    assert names == {
        "ontonotes": {"facility", "organization", "location", "fac", "org", "loc"},
        "wnut17": {"creative_work", "creative-work"},
    }
    for name in names:
        assert [t.tags for t in BUILTIN[f"{name}-authors"].types] == [t.tags for t in BUILTIN[name].types]


def test_exp_is_another_configuration_in_one_key():
    default, exp = (
        keys_of(config_file.load(f"conll2003{variant}", []).config.to_dict())
        for variant in (":xl", ":exp,xl")
    )
    assert {key: exp[key] for key in exp if exp[key] != default[key]} == {
        "generator.explanations": "template"
    }


def keys_of(section: dict, before: str = "") -> dict:
    """Values by dotted key."""
    found = {}
    for name, value in section.items():
        found |= keys_of(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return found


def test_a_run_beside_the_paper():
    found = beside("conll2003", "test", Counts(tp=90, fp=10, fn=10), (3_453, 5_648))
    assert (found["table"], found["same_test_set"]) == (3, True)
    assert len(found["results"]) == 10
    assert found["results"][0] == {
        "model": "Strubell et al. (2017)", "precision": None, "recall": None, "f1": 0.9065, "points_above": -0.65,
    }  # fmt: skip
    assert found["results"][-2]["model"] == "ToNER-large"
    assert found["results"][-2]["points_above"] == -3.83
    assert not beside("conll2003", "test", Counts(), (3_454, 5_648))["same_test_set"]
    assert beside("conll2003", "dev", Counts(), (3_250, 5_942)) is None
    assert beside("wnut17", "test", Counts(), (1_287, 1_079)) is None

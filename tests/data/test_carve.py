"""Train split by shares: what goes where, what never parts, and what is refused."""

import json
from collections import Counter

import pytest

from toner_jax.config import base
from toner_jax.data.carve import carve_shares, deal, sample_train
from toner_jax.data.load import load_dataset
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError
from toner_jax.schema import make_sentence


def sentences(texts, documents=None):
    documents = documents or [None] * len(texts)
    return [
        make_sentence(f"train-{i}", text.split(), (), None, doc_id=document)
        for i, (text, document) in enumerate(zip(texts, documents, strict=True))
    ]


def texts(split):
    return {s.text for s in split}


TEXTS = [f"sentence number {i}" for i in range(200)]


@pytest.mark.parametrize(
    ("shares", "sizes"), [((0.8, 0.1, 0.1), (160, 20, 20)), ((0.5, 0.3, 0.2), (100, 60, 40))]
)
def test_sentences_are_split_near_to_the_shares(shares, sizes):
    train = sentences(TEXTS)
    found = carve_shares(train, shares, 0)
    assert tuple(len(found[s]) for s in ("train", "dev", "test")) == sizes
    assert sorted(s.text for part in found.values() for s in part) == sorted(TEXTS)
    assert [s.id for s in found["dev"]] == [f"dev-{i}" for i in range(sizes[1])]
    assert [s.id for s in found["train"]] == [s.id for s in train if s.text in texts(found["train"])]


def test_the_choice_depends_on_texts_and_seed_alone():
    forth, back = (carve_shares(sentences(t), (0.8, 0.1, 0.1), 0) for t in (TEXTS, TEXTS[::-1]))
    assert {s: texts(part) for s, part in forth.items()} == {s: texts(part) for s, part in back.items()}
    assert texts(carve_shares(sentences(TEXTS), (0.8, 0.1, 0.1), 1)["dev"]) != texts(forth["dev"])


def test_no_text_stands_in_two_splits():
    repeated = [f"line {i % 50}" for i in range(500)] + ["li ne 1", " ".join("line1")]
    found = carve_shares(sentences(repeated), (0.6, 0.2, 0.2), 3)
    stripped = [{t.replace(" ", "") for t in texts(part)} for part in found.values()]
    assert all(not a & b for i, a in enumerate(stripped) for b in stripped[:i])
    assert sum(map(len, found.values())) == 502
    assert abs(len(found["dev"]) - 100) <= 12


@pytest.mark.parametrize("name", ["doc {}", "train-doc-{}"])
def test_documents_stay_whole_and_those_that_share_a_sentence_together(name):
    documents = [name.format(i // 5) for i in range(200)]
    alike = [*TEXTS]
    alike[7] = alike[150] = "the same"  # documents 1 and 30
    found = carve_shares(sentences(alike, documents), (0.7, 0.15, 0.15), 0)
    of = {split: {s.doc_id for s in part} for split, part in found.items()}
    assert sum(map(len, of.values())) == 40
    (home,) = [split for split, ids in of.items() if name.format(1) in ids]
    assert name.format(30) in of[home]
    assert {split: len(part) for split, part in found.items()} == {"train": 140, "dev": 30, "test": 30}


def test_a_split_of_share_0_is_not_made():
    assert list(carve_shares(sentences(TEXTS), (0.9, 0.1, 0), 0)) == ["train", "dev"]
    assert list(carve_shares(sentences(TEXTS), (0.9, 0, 0.1), 0)) == ["train", "test"]


@pytest.mark.parametrize(
    ("shares", "problem"),
    [
        ((0.8, 0.2), "give three shares of train, dev and test that make 1, such as"),
        ((0.8, 0.1, 0.2), "give three shares"),
        ((1.1, -0.1, 0.0), "give three shares"),
        (("a", 0.5, 0.5), "give three shares"),
        ((0, 0.5, 0.5), "train and another split need a share"),
        ((1, 0, 0), "train and another split need a share"),
    ],
)
def test_shares_that_are_none_are_refused(shares, problem):
    with pytest.raises(UserError) as caught:
        carve_shares(sentences(TEXTS), shares, 0)
    assert str(caught.value).startswith(f"data.carve_shares={tuple(shares)}: {problem}")


def test_what_cannot_be_parted_is_said():
    with pytest.raises(
        UserError, match=r"nothing is left for dev: of train's 200 sentences, .* in 1 groups; bring more"
    ):
        carve_shares(sentences(TEXTS, ["one"] * 200), (0.8, 0.1, 0.1), 0)
    with pytest.raises(UserError, match=r"nothing is left for train: of train's 2 sentences, .* in 2 groups"):
        carve_shares(sentences(TEXTS[:2]), (0.8, 0.1, 0.1), 0)


def load(folder, splits=("train", "dev", "test"), **changes):
    data = base().data
    data.update({"name": "ships", "format": "jsonl", "dir": str(folder), "cache": False, **changes})
    return load_dataset(DataOptions.from_section(data), splits)


def rows(count, label="Ship"):
    return "".join(
        json.dumps({"words": ["Ajax", str(i), "sank"], "entities": [[0, 2, label]]}) + "\n"
        for i in range(count)
    )


def test_a_set_of_one_file_becomes_three_splits(tmp_path):
    (tmp_path / "train.jsonl").write_text(
        rows(50) + '{"words": ["x"], "entities": [[0, 1, "Ship"], [0, 1, "Ship"]]}\n'
    )
    dataset = load(tmp_path, carve_shares=(0.8, 0.1, 0.1))
    assert {split: len(part) for split, part in dataset.splits.items()} == {"train": 41, "dev": 5, "test": 5}
    assert dataset.notes == (
        "train split by sentences (data.carve_shares), in sentences: 41 train, 5 dev, 5 test",
    )
    assert dataset.repairs == {"train": {"duplicate_entity": 1}, "dev": {}, "test": {}}
    alone = load(tmp_path, ["test"], carve_shares=(0.8, 0.1, 0.1))
    assert alone.splits == {"test": dataset.splits["test"]}
    assert load(tmp_path, carve_shares=(0.8, 0.1, 0.1), carve_seed=1).splits["dev"] != dataset.splits["dev"]


def test_a_split_with_data_of_its_own_keeps_them(tmp_path):
    (tmp_path / "train.jsonl").write_text(rows(50))
    (tmp_path / "test.jsonl").write_text(rows(60, "Port"))
    with pytest.raises(
        UserError, match=r"^data\.carve_shares=\(0\.8, 0\.1, 0\.1\): test has data of its own; give it"
    ):
        load(tmp_path, carve_shares=(0.8, 0.1, 0.1))
    dataset = load(tmp_path, carve_shares=(0.8, 0.2, 0))
    assert {split: len(part) for split, part in dataset.splits.items()} == {
        "train": 40,
        "dev": 10,
        "test": 60,
    }
    assert Counter(e.type for s in dataset.splits["test"] for e in s.entities) == {"port": 60}
    (tmp_path / "test.jsonl").unlink()
    with pytest.raises(UserError, match=r": no file test or testb with \.jsonl or \.json \(data\.test\)$"):
        load(tmp_path, carve_shares=(0.8, 0.2, 0))


def test_one_way_of_carving_at_a_time(tmp_path):
    (tmp_path / "train.jsonl").write_text(rows(50))
    with pytest.raises(UserError, match=r"splits train, as data\.carve_dev does; set data\.carve_dev=0$"):
        load(tmp_path, carve_shares=(0.8, 0.1, 0.1), carve_dev=3)


@pytest.mark.parametrize(("starts", "by"), [(1, "sentences"), (30, "documents")])
def test_a_single_document_without_a_name_is_none(tmp_path, starts, by):
    texts = [f"Ajax B-SHIP\n{i} O\n\n" for i in range(30)]
    (tmp_path / "train.txt").write_text(
        "".join("-DOCSTART- O\n\n" * (i < starts) + t for i, t in enumerate(texts))
    )
    dataset = load(tmp_path, format="columns", carve_shares=(0.8, 0.1, 0.1))
    assert {split: len(part) for split, part in dataset.splits.items()} == {"train": 24, "dev": 3, "test": 3}
    assert dataset.notes[0].startswith(f"train split by {by} (")


def test_folds_are_dealt_by_document_and_evenly():
    documents = [f"d{i // 5}" for i in range(200)]
    train = sentences(TEXTS, documents)
    of = deal(train, 4, 0)
    assert all(
        len({fold for fold, d in zip(of, documents, strict=True) if d == name}) == 1 for name in documents
    )
    assert sorted(Counter(of).values()) == [50] * 4
    assert of == deal(train, 4, 0) != deal(train, 4, 1)
    back = deal(train[::-1], 4, 0)[::-1]
    together = [{s.id for s, f in zip(train, one, strict=True) if f == of[0]} for one in (of, back)]
    assert together[0] == together[1]
    same = deal(sentences(["a b", "c", "ab", "d"]), 2, 0)
    assert same[0] == same[2]
    with pytest.raises(
        UserError, match=r"types\.folds=3: documents that share sentences stay together, .* 2 such"
    ):
        deal(sentences(["a", "b", "c"], ["d1", "d1", "d2"]), 3, 0)


def test_a_part_of_train():
    documents = [f"d{i // 5}" for i in range(200)]
    train = sentences(TEXTS, documents)
    small, large = sample_train(train, 48, 0), sample_train(train, 90, 0)
    assert (len(small), len(large)) == (50, 90)
    assert set(small) < set(large)
    assert [s for s in train if s in set(small)] == list(small)
    assert Counter(s.doc_id for s in small).most_common(1)[0][1] == 5
    assert sample_train(train, 48, 1) != small
    assert len(sample_train(sentences(TEXTS), 48, 0)) == 48
    with pytest.raises(UserError, match=r"data\.train_sentences=201: train has 200 sentences"):
        sample_train(train, 201, 0)


def test_a_part_of_train_is_loaded_and_said():
    c = base()
    c.data.name = c.data.format = "generated"
    c.data.generated.update(train=40, dev=10, test=10)
    whole = load_dataset(DataOptions.from_section(c.data))
    c.data.train_sentences = 15
    part = load_dataset(DataOptions.from_section(c.data))
    assert set(part.splits["train"]) < set(whole.splits["train"])
    assert len(part.splits["train"]) == 15
    assert part.splits["dev"] == whole.splits["dev"]
    assert "train: 15 of 40 sentences (data.train_sentences)" in part.notes

"""The public API and the scripts, on a finished tiny run."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
import tiny
from tiny import TEXTS

import toner_jax
from toner_jax.errors import UserError
from toner_jax.runs import reevaluate
from toner_jax.runs.marker import MARKER, complete
from toner_jax.text.words import sentence_from_text


def test_predict_gives_slices_of_the_text(ner):
    found = ner.predict(TEXTS)
    assert len(found) == len(TEXTS)
    assert found[1] == found[2] == []
    for text, entities in zip(TEXTS, found, strict=True):
        for e in entities:
            assert text[e["start"] : e["end"]] == e["text"]
            assert e["label"] in ner.schema.names
            assert 0 < e["score"] <= 1


@pytest.mark.slow
def test_predict_is_what_evaluation_found(ner, finished):
    """The same path: the test split's own texts give the predictions that the run wrote."""
    lines = (finished[0] / "predictions/test.jsonl").read_text().splitlines()
    from toner_jax.data.sentences import load_sentences

    sentences = load_sentences(finished[0] / "data/test.jsonl")
    found, matched = ner.recognize(sentences)
    for line, result, types in zip(lines, found, matched, strict=True):
        entry = json.loads(line)
        assert entry["output"] == result.output
        assert entry["types"] == list(types)


@pytest.mark.slow
def test_a_file_of_texts_is_evaluated_as_predict_reads_it(ner, finished, tmp_path):
    """The same documents in the same order: the report's scores are those of `predict`, to the last bit, and the
    annotation has no part in what is found."""
    texts = [
        *TEXTS,
        "Mr. Ivan Borcalski ate. He met Dr. Jaman in St. Louis, i.e. at home.",
        "北京大学。Ivan Borcalski去。",
    ]
    names = {
        0: [("Ivan Borcalski", "person"), ("Selqua", "location")],
        5: [("Ivan Borcalski", "person"), ("Jaman", "person"), ("Lou", "location")],
    }
    gold = {
        i: [[texts[i].index(name), texts[i].index(name) + len(name), label] for name, label in found]
        for i, found in names.items()
    }
    predicted = ner.predict(texts)
    found = {}
    for name in ("with", "without"):
        rows = [
            {"text": t, "entities": gold.get(i, []) if name == "with" else []} for i, t in enumerate(texts)
        ]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        sentences = reevaluate.read_input(finished[0], ner.config, path, "jsonl")
        evaluation = reevaluate.evaluate(
            ner, {**reevaluate.read_splits(finished[0], "test"), name: sentences}, name
        )
        evaluation.write(tmp_path / name, finished[0], ner)
        page = (tmp_path / name / "report.html").read_text()
        assert f"{evaluation.report['entities']} entities" in page
        lines = map(json.loads, (tmp_path / name / "predictions.jsonl").read_text().splitlines())
        found[name] = [(e["text"], e["label"], e["score"]) for line in lines for e in line["predicted"]]
        if name == "with":
            strict = evaluation.report["strict"]
            spans = [{(e["start"], e["end"], e["label"]) for e in entities} for entities in predicted]
            right = sum(len(s & {tuple(g) for g in gold.get(i, [])}) for i, s in enumerate(spans))
            assert (strict["tp"], strict["fp"], strict["fn"]) == (
                right,
                sum(map(len, spans)) - right,
                5 - right,
            )
            assert evaluation.report["unreachable"] == 1  # `Lou`, which is no word
    assert found["with"] == found["without"]
    assert found["with"] == [(e["text"], e["label"], e["score"]) for entities in predicted for e in entities]


@pytest.mark.slow
def test_both_thresholds_do_what_they_say(ner):
    """`threshold` leaves out entities by their score, `type_threshold` chooses T′ by its cosines, and only those."""
    sentences = [sentence_from_text(str(i), text) for i, text in enumerate(TEXTS[:2])]
    cosines = ner.match_types(TEXTS[:1])[0]
    second, third = sorted(cosines.values())[1:3]
    for delta in (-1.0, 1.0, (second + third) / 2):
        _, matched = ner.recognize(sentences, type_threshold=delta)
        assert matched[0] == tuple(name for name, cosine in cosines.items() if cosine > delta)
    everything, matched = ner.recognize(sentences)
    cut, same = ner.recognize(sentences, threshold=0.05)
    assert matched == same
    for before, after in zip(everything, cut, strict=True):
        scored = zip(before.entities, before.scores, strict=True)
        assert list(after.entities) == [e for e, score in scored if score.joint >= 0.05]
    for wrong in ({"type_threshold": 2}, {"type_threshold": float("nan")}, {"threshold": -1}):
        with pytest.raises(UserError, match=f"^{next(iter(wrong))}="):
            ner.predict(TEXTS[:1], **wrong)


@pytest.mark.slow
def test_a_long_text_is_its_sentences(ner):
    """Parts of a text are found as each by itself, at their own places."""
    sentences = [f"Judge Ivan Borcalski married Professor Jaman in Selqua in 19{i}." for i in range(10, 25)]
    text = "  ".join(sentences)
    expected = []
    for sentence, found in zip(sentences, ner.predict(sentences), strict=True):
        at = text.index(sentence)
        expected += [(e["start"] + at, e["end"] + at, e["label"]) for e in found]
    (found,) = ner.predict([text])
    assert [(e["start"], e["end"], e["label"]) for e in found] == expected
    assert expected
    for batch in (1, 7):  # however many are prepared at a time
        streamed = list(ner.stream(iter([TEXTS[0], text, ""]), batch=batch))
        assert [part.text for part in streamed] == [0, *[1] * len(sentences), 2]
        assert [part.is_last for part in streamed] == [True, *[False] * (len(sentences) - 1), True, True]
        spans = [
            (e["start"], e["end"], e["label"]) for part in streamed for e in part.entities if part.text == 1
        ]
        assert spans == expected


def test_match_types(ner):
    (types,) = ner.match_types(TEXTS[:1])
    assert set(types) == set(ner.schema.names)
    assert list(types.values()) == sorted(types.values(), reverse=True)
    assert all(-1.0001 <= v <= 1.0001 for v in types.values())
    (other,) = ner.match_types(TEXTS[:1], labels={"ship": "Names of vessels."})
    assert list(other) == ["ship"]


@pytest.mark.slow
def test_types_that_the_generator_names(ner):
    found = ner.recognize_types(["Judge Ivan Borcalski came to Selqua .", ""])
    assert len(found) == 2
    order = [ner.schema.index[name] for name in found[0]]
    assert order == sorted(order)
    assert all(0 < p <= 1.00001 for p in found[0].values())
    assert list(ner.recognize_types(["Judge Ivan"], labels=["ship"])[0]) in ([], ["ship"])


def recorded(finished, folder, *tasks):
    """A copy of the finished run whose record says that its generator was trained on these tasks."""
    shutil.copytree(finished[0], folder)
    marker = complete(folder, "generator")
    assert marker.result["tasks"] == ["ner", "tr"]
    replace(marker, result={**marker.result, "tasks": tasks}).write(folder / "generator" / MARKER)
    return folder


@pytest.mark.slow
def test_explanations(finished, tmp_path):
    ner = toner_jax.load(recorded(finished, tmp_path / "run", "ner", "exp"))
    text = "Judge Ivan Borcalski came to Selqua . It rained ."
    (found,) = ner.explain([text])
    assert all(text[e["start"] : e["end"]] == e["text"] for e in found["entities"])
    assert isinstance(found["explanation"], str)
    assert ner.explain([]) == []


def test_a_generator_that_saw_no_explanation_gives_none(ner):
    with pytest.raises(UserError, match=r"^trained on ner, tr: .*never saw an explanation") as error:
        ner.explain(["Judge Ivan Borcalski came to Selqua ."])
    assert "\n" not in str(error.value)


def test_a_generator_that_was_not_trained_to_name_types_is_not_asked(finished, tmp_path):
    ner = toner_jax.load(recorded(finished, tmp_path / "run", "ner"))
    with pytest.raises(
        UserError, match=r"^trained with generator\.type_recognition=0: .*match_types"
    ) as error:
        ner.recognize_types(["Judge Ivan Borcalski came to Selqua ."])
    assert "\n" not in str(error.value)
    assert ner.match_types(TEXTS[:1])  # the matcher is asked as before


@pytest.mark.slow
def test_a_report_has_the_types_that_the_generator_names_if_it_was_trained_to(finished, tmp_path, cache):
    for tasks in (("ner",), ("ner", "tr")):
        run = recorded(finished, tmp_path / "-".join(tasks), *tasks)
        program = [sys.executable, "scripts/evaluate.py", f"--workdir={run}", "--split=dev", "--json"]
        done = tiny.run(program, tiny.environment(cache))
        assert done.returncode == 0, done.stderr
        assert ("type_recognition" in json.loads(done.stdout)) == ("tr" in tasks)


@pytest.mark.slow
def test_saved_pretrained_predicts_the_same(ner, tmp_path):
    ner.save_pretrained(tmp_path / "saved")
    again = toner_jax.load(tmp_path / "saved")
    assert again.type_threshold == ner.type_threshold
    assert again.tasks == ner.tasks == ("ner", "tr")
    assert again.predict(TEXTS) == ner.predict(TEXTS)
    from transformers import AutoModel, T5ForConditionalGeneration

    for cls, name in ((T5ForConditionalGeneration, "generator"), (AutoModel, "matcher")):
        _, info = cls.from_pretrained(tmp_path / "saved" / name, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]


@pytest.mark.slow
def test_fine_tuning_starts_from_hugging_face_folders(ner, cache, tmp_path):
    """With next to no learning rate, what comes out is what the folders held, type head apart."""
    ner.save_pretrained(tmp_path / "saved")
    folders = [f"--config.{m}.checkpoint={tmp_path / 'saved' / m}" for m in ("generator", "matcher")]
    rates = [f"--config.{m}.learning_rate=1e-20" for m in ("generator", "matcher")]
    done = tiny.run(
        tiny.command(tmp_path / "run", *folders, *rates, "--config.generator.epochs=0.1"),
        tiny.environment(cache),
    )
    assert done.returncode == 0, done.stderr
    tuned = toner_jax.load(tmp_path / "run")
    assert tuned.predict(TEXTS) == ner.predict(TEXTS)
    before, after = ner._restored, tuned._restored
    for left, right in (
        (before.matcher_params, after.matcher_params),
        (before.generator_params, after.generator_params),
    ):
        for path, value in jax.tree_util.tree_leaves_with_path(left):
            if "type_head" not in str(path):
                other = dict(jax.tree_util.tree_leaves_with_path(right))[path]
                np.testing.assert_allclose(value, other, atol=1e-7)


@pytest.mark.slow
def test_a_moved_run_works_without_its_data(finished, tmp_path, cache):
    moved = tmp_path / "elsewhere"
    shutil.copytree(finished[0], moved)
    done = tiny.run(
        [sys.executable, "scripts/evaluate.py", f"--workdir={moved}", "--split=dev", "--json",
         "--config.decode.batch_size=7"],
        tiny.environment(cache),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["strict"] == json.loads((moved / "report/dev.json").read_text())["strict"]
    assert "decode.batch_size: 64 in training, 7 here" in done.stderr

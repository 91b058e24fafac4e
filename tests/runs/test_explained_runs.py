"""Training with explanations (§3.5): which sentences have which prompts and targets, and what depends on them."""

import json

import pytest
from test_checks import row, settings, without, write

from toner_jax.errors import UserError
from toner_jax.parallel.mesh import make_mesh
from toner_jax.runs import run, setup
from toner_jax.runs.generator import make_samples
from toner_jax.tasks.explanations import NO_ENTITY

TRAIN = [row(0), {**without(1), "id": "empty"}, row(2), row(3)]
for number, entry in enumerate(TRAIN):
    entry.setdefault("id", f"t{number}")


@pytest.fixture(autouse=True)
def begun(monkeypatch):
    """The stages that a start has begun; none is ever run."""
    stages = []
    monkeypatch.setattr(run, "_execute_stages", lambda ready, *_: stages.extend(ready.stages) or {})
    return stages


@pytest.fixture
def configured(tmp_path):
    write(tmp_path / "data", train=TRAIN)

    def make(**keys):
        return settings(tmp_path, **{"generator.type_recognition": 0.5, "text.max_target": 200, **keys})

    return make


def explained(folder, *ids):
    path = folder / "explanations.jsonl"
    path.write_text("".join(json.dumps({"id": i, "explanation": f"Because of {i}."}) + "\n" for i in ids))
    return {"generator.explanations": str(path)}


def samples(config, folder):
    """Prompts and targets of training as strings: of the main task, and of the auxiliary one."""
    with run.ready(config, folder / "run") as r:
        features = setup.generator_features(
            config, r.prepared / setup.TOKENIZERS, r.dataset.schema, r.explanations
        )
        made = make_samples(config, features, r.dataset.splits["train"], None, make_mesh())
        texts = [
            tuple(features.word_ids.decode(ids.tolist()[:-1]) for ids in (e.source, e.target))
            for e in made.examples
        ]
    return texts[: len(texts) // 2], texts[len(texts) // 2 :]


def test_every_sentence_explains(configured, tmp_path):
    main, types = samples(configured(**explained(tmp_path, "t0", "t2", "t3")), tmp_path)
    assert all("type [person, place] and give explanations. Text:" in source for source, _ in main)
    (_, first), (_, empty), *_ = main
    assert first == "Entity: [(place, Lima0), (person, Ann Bo)] Explanation: Because of t0."
    assert empty == f"Entity: [] Explanation: {NO_ENTITY}"
    assert not any("xplanation" in text for sample in types for text in sample)


def test_a_sentence_without_an_explanation_is_refused_or_trained_plain(configured, tmp_path, begun, capsys):
    keys = explained(tmp_path, "t0", "t3")
    with pytest.raises(
        UserError, match=r"no explanation of 1 sentences of train that have entities, the first t2"
    ):
        run.execute(configured(**keys), tmp_path / "run")
    assert not begun
    assert not (tmp_path / "run").exists()
    main, _ = samples(configured(**keys, **{"generator.unexplained": "plain"}), tmp_path)
    source, target = main[2]
    assert "explanation" not in source
    assert target == "[(place, Lima2), (person, Ann Bo)]"
    assert ["Explanation:" in target for _, target in main] == [True, True, False, True]


def test_an_explanation_that_is_too_long_is_left_out(configured, tmp_path, capsys):
    """The sentence stays whole; only one whose list alone is too long is split."""
    template = {"generator.explanations": "template"}
    with run.ready(configured(**template), tmp_path / "run") as r:
        ids = setup.generator_features(
            configured(**template), r.prepared / setup.TOKENIZERS, r.dataset.schema, r.explanations
        )
        longest = max(len(ids.tasks[0].target(s)) + 1 for s in r.dataset.splits["train"])
    main, _ = samples(configured(**template, **{"text.max_target": longest - 1}), tmp_path)
    assert len(main) == len(TRAIN)
    plain = [("give explanations" in source, "Explanation:" in target) for source, target in main]
    assert set(plain) == {(True, True), (False, False)}
    assert plain[1] == (True, True)  # the one without entities


def test_what_depends_on_explanations(configured, tmp_path):
    def digests(**keys):
        config = configured(**keys)
        with run.ready(config, tmp_path / "run") as r:
            return {name: stage.digest(None) for name, stage in r.stages.items()}

    plain, first = digests(), digests(**explained(tmp_path, "t0", "t2", "t3"))
    other = digests(**explained(tmp_path, "t0", "t2", "t3", "unknown"))
    template = digests(**{"generator.explanations": "template"})
    assert first == other  # of sentences that train has
    for name in ("setup", "generator", "evaluate"):
        assert len({plain[name], first[name], template[name]}) == 3
    assert plain["data"] == first["data"] == template["data"]


def test_explanations_of_the_data_themselves(configured, tmp_path):
    """A field of the user's own rows; a text of several sentences has none that could be told apart."""
    own = [{**entry, "explanation": f"Own\n {entry['id']}."} for entry in TRAIN]
    write(tmp_path / "data", train=own)
    config = configured(**{"generator.explanations": "data", "data.pretokenized": True})
    main, _ = samples(config, tmp_path)
    assert main[0][1].endswith("Explanation: Own t0.")
    assert main[1][1].endswith(NO_ENTITY)
    write(tmp_path / "data", train=TRAIN)
    with pytest.raises(
        UserError, match=r"generator\.explanations=data: no sentence of train has an \"explanation\""
    ):
        run.execute(configured(**{"generator.explanations": "data"}), tmp_path / "run")

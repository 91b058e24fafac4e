"""Models onto the Hugging Face hub and back, against a stand-in for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from hub_server import TOKEN, Hub

from toner_jax.runs import named
from toner_jax.runs.export.model_card import CARD

TEXT = "Judge Ivan Borcalski married Professor Jaman in Selqua in 1973 ."
PROGRAM = """
import json, sys
import toner_jax
from toner_jax.errors import UserError

model = "quickstart"
for name, options in json.loads(sys.argv[1]):
    try:
        if name == "push":
            print(json.dumps(toner_jax.load(model).push_to_hub(**options)))
        else:
            ner = toner_jax.load(options.pop("model"), **options)
            print(json.dumps([e["text"] for e in ner.predict([sys.argv[2]])[0]]))
    except UserError as error:
        print(json.dumps(str(error)))
"""


@pytest.fixture
def hub(tmp_path):
    """(the stand-in, a function that pushes and loads in another process: huggingface_hub reads its address once)."""
    server = Hub()

    def run(*steps, token: str = TOKEN):
        environment = {
            **os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": token,
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(steps), TEXT],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    yield server, run
    server.shutdown()


@pytest.mark.slow
def test_there_and_back(hub):
    server, run = hub
    names = ["Ivan Borcalski", "Jaman", "Selqua", "1973"]
    url, found = run(["push", {"repo_id": "ann/names", "private": True}], ["load", {"model": "ann/names"}])
    assert found == names
    head = server.models["ann/names"]["branches"]["main"]
    assert url == f"{server.url}/ann/names/commit/{head}"
    assert server.models["ann/names"]["private"]
    files = server.commits[head]
    assert {"toner.json", "README.md", "generator/model.safetensors", "matcher/modules.json"} <= files.keys()
    assert yaml.safe_load(files["README.md"].decode().split("---")[1])["library_name"] == "toner_jax"
    # Another branch has other files; a commit stays what it was.
    server.models["ann/names"]["branches"]["empty"] = "0" * 40
    loaded, missing, unknown = run(
        ["load", {"model": "ann/names", "revision": head}],
        ["load", {"model": "ann/names", "revision": "empty"}],
        ["load", {"model": "ann/names", "revision": "v9"}],
    )
    assert loaded == names
    assert missing.endswith(
        "no such folder; a model is the work directory of a run, or a folder of save_pretrained"
    )
    assert unknown.startswith(
        "ann/names: no such folder, and downloading it from the Hugging Face hub failed ("
    )
    assert "v9" in unknown


@pytest.mark.slow
def test_what_the_hub_refuses(hub):
    server, run = hub
    (refused,) = run(["push", {"repo_id": "ann/names"}], token="hf_wrong")
    assert refused.startswith("ann/names: the Hugging Face hub did not take it (")
    assert server.models == {}
    (nameless,) = run(["push", {"repo_id": "names"}])
    assert nameless == "names: name a model of the hub as user/model"
    server.server_close()  # nobody answers any more
    server.shutdown()
    (unreachable,) = run(["push", {"repo_id": "ann/names"}])
    assert unreachable.startswith("ann/names: the Hugging Face hub did not take it (")
    (unknown,) = run(["load", {"model": "ann/nothing"}])
    assert unknown.startswith(
        "ann/nothing: no such folder, and downloading it from the Hugging Face hub failed ("
    )


def test_the_card_of_a_run(finished, tmp_path):
    from toner_jax.runs.export.convert import convert

    convert(str(finished[0]), tmp_path / "names")
    card = (tmp_path / "names" / CARD).read_text()
    _, metadata, text = card.split("---\n", 2)
    found = yaml.safe_load(metadata)
    report = json.loads((finished[0] / "report" / "test.json").read_text())
    (result,) = found["model-index"][0]["results"]
    assert found["model-index"][0]["name"] == "names"
    assert {m["type"]: m["value"] for m in result["metrics"]} == {
        kind: round(report["strict"][kind], 4) for kind in ("f1", "precision", "recall")
    }
    assert result["dataset"]["name"] == "generated"
    assert "# names\n" in text
    assert 'toner_jax.load("names")' in text
    schema = json.loads((finished[0] / "schema.json").read_text())
    assert all(f"| {t['name']} | {t['description']} |" in text for t in schema["types"])
    assert (
        f"{len((finished[0] / 'data' / 'train.jsonl').read_text().splitlines()):,} sentences of train" in text
    )
    weights = (tmp_path / "names" / "generator" / "model.safetensors").stat().st_mode
    assert weights == (tmp_path / "names" / "toner.json").stat().st_mode
    # A copy of a model that was saved keeps its card.
    convert(str(tmp_path / "names"), tmp_path / "again")
    assert (tmp_path / "again" / CARD).read_text() == card


@pytest.mark.slow
def test_sentence_transformers_reads_the_matcher():
    """The same vectors of what the type matcher compares."""
    pytest.importorskip("sentence_transformers")
    program = """
import sys, numpy as np
from sentence_transformers import SentenceTransformer
texts = ["rain fell on the town", "names of people, without titles such as Dr."]
model = SentenceTransformer(sys.argv[1], device="cpu").float()
found = model.encode(texts)
print(repr((found @ found.T).round(4).tolist()), np.linalg.norm(found, axis=1).round(4).tolist(), model.max_seq_length)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(named.demonstration() / "matcher")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    import numpy as np

    import toner_jax

    ner = toner_jax.load("quickstart")
    texts = ["rain fell on the town", "names of people, without titles such as Dr."]
    rows, counts = ner._matcher.features.encoded([t.split() for t in texts])
    own = ner._matcher._embed(ner._restored.matcher_params, rows, counts)
    matrix = eval(done.stdout.split("] [")[0] + "]")
    np.testing.assert_allclose(np.array(matrix), own @ own.T, atol=1e-4)
    assert done.stdout.split("] [")[1].startswith("1.0, 1.0")

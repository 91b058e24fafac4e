"""The exported programs, run by JAX alone, give what the models give."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from tiny import ROOT

import toner_jax
from toner_jax.commands import app

pytestmark = pytest.mark.slow

ALONE = """
import sys
for name in ("toner_jax", "flax", "transformers", "optax", "orbax"):
    sys.modules[name] = None  # an import of it fails
"""


@pytest.fixture(scope="module")
def exports(finished, tmp_path_factory):
    """The folder by dtype, of a run whose outputs are no lists yet: whatever is written has to be the same."""

    def export(dtype: str):
        folder = tmp_path_factory.mktemp(dtype) / "exported"
        flags = [f"--from={finished[0]}", f"--to={folder}", "--format=stablehlo", f"--dtype={dtype}"]
        assert app.main(["convert", *flags]) == 0
        return folder

    return {dtype: export(dtype) for dtype in ("float32", "bfloat16")}


@pytest.fixture
def exported(exports):
    return exports["float32"]


def alone(folder, program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ALONE + program],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_files_have_the_same_rights(exported):
    """Those that safetensors makes are their owner's alone."""
    assert len({path.stat().st_mode for path in exported.iterdir() if path.is_file()}) == 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_block_of_the_docs_writes_what_the_model_writes(exports, dtype):
    exported = exports[dtype]
    page = (ROOT / "docs/integrations.md").read_text(encoding="utf-8")
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "jax.export" in b)
    printed = alone(exported, block + "\nprint(json.dumps(written))\n")
    assert json.loads(printed) == json.loads((exported / "export.json").read_text())["example"]["written"]


# Rows of other lengths than the example's, together and one by one: what a row gives does not depend on its neighbours.
ROWS = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
from safetensors.flax import load_file
weights = load_file("exported/weights.safetensors")
call = lambda name: jax.export.deserialize(open(f"exported/{name}.stablehlo", "rb").read()).call
of = lambda kind: {n: v for n, v in weights.items() if n.startswith(kind)}
given = json.load(open("given.json"))
ids = np.zeros((len(given["texts"]), given["length"]), np.int32)
for row, text in zip(ids, given["texts"]):
    row[: len(text)] = text
print(json.dumps(np.asarray(call(f"match_{given['length']}")(of("matcher"), ids), float).tolist()))
"""


def test_the_vectors_have_the_cosines_of_the_matcher(exported, finished):
    ner = toner_jax.load(finished[0])
    texts = ["Judge Ivan Borcalski came to Selqua on Monday .", "Rain ."]
    about = json.loads((exported / "export.json").read_text())
    assert list(about["types"]) == list(ner.schema.names)
    tokenizer = ner._restored.tokenizers / "matcher"
    from transformers import AutoTokenizer

    encode = AutoTokenizer.from_pretrained(exported / "matcher")
    assert (exported / "matcher" / "vocab.txt").read_bytes() == (tokenizer / "vocab.txt").read_bytes()
    rows = [encode(text)["input_ids"] for text in [*texts, *about["types"].values()]]
    length = min(n for n in about["lengths"]["matcher"] if n >= max(map(len, rows)))
    (exported.parent / "given.json").write_text(json.dumps({"texts": rows, "length": length}))
    vectors = np.array(json.loads(alone(exported, ROWS)))
    cosines = vectors[:2] @ vectors[2:].T
    wanted = [[cosine[name] for name in ner.schema.names] for cosine in ner.match_types(texts)]
    np.testing.assert_allclose(cosines, wanted, atol=1e-5)


def test_bfloat16_computes_in_bfloat16(exports):
    folder = exports["bfloat16"]
    from safetensors.flax import load_file

    assert {str(v.dtype) for v in load_file(folder / "weights.safetensors").values()} == {"bfloat16"}
    import jax

    match = jax.export.deserialize((folder / "match_64.stablehlo").read_bytes())
    assert "xbf16>, tensor<" in match.mlir_module()
    assert match.platforms == ("cpu", "cuda", "rocm", "tpu")


def test_a_dtype_that_the_form_does_not_have_is_refused(finished, tmp_path, capsys):
    flags = [f"--from={finished[0]}", f"--to={tmp_path / 'to'}", "--format=ctranslate2", "--dtype=bfloat16"]
    assert app.main(["convert", *flags]) == 2
    assert "writes float32" in capsys.readouterr().err

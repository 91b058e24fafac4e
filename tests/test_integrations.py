"""The blocks of docs/integrations.md run as they are."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import tiny

PAGE = (tiny.ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
BLOCKS = {
    title: "\n".join(blocks)
    for title, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    if (blocks := re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    and title != "JAX alone"  # tests/runs/test_stablehlo.py exports a model for it
}
# What each is to come to, appended to it.
CHECKS = {
    "Notebooks": "shown = ner.show('Judge Ivan Borcalski came to Selqua .')\n"
    "assert repr(shown) == 'Judge [Ivan Borcalski](person) came to [Selqua](location) .', shown\n"
    "assert shown._repr_html_().count('<mark') == 2",
    "spaCy": "found = [e.text for e in nlp('Judge Ivan Borcalski came to Selqua .').ents]\n"
    "assert found == ['Ivan Borcalski', 'Selqua'], found",
    "pandas": "of_first = entities[entities['row'] == 0]\n"
    "assert of_first[['text', 'label']].values.tolist() == [['Ivan Borcalski', 'person'], ['Selqua', 'location']]",
    "datasets": "if __name__ == '__main__':\n"
    "    assert len(data) == 8\n"
    "    assert [e['label'] for e in data['entities'][6]] == ['person', 'location'], data['entities']",
}


@pytest.mark.slow
@pytest.mark.parametrize("title", BLOCKS)
def test_a_block_runs(title, tmp_path, cache):
    pytest.importorskip({"spaCy": "spacy", "pandas": "pandas"}.get(title, "datasets"))
    program = BLOCKS[title]
    if title == "datasets":  # the second block has processes of its own
        first, program = program.split("import datasets\n\n\ndef", 1)
        subprocess.run([sys.executable, "-c", first], check=True, cwd=tmp_path)
        program = "import datasets\n\n\ndef" + program
    file = tmp_path / "block.py"
    file.write_text(f"{program}\n{CHECKS[title]}\n")
    done = subprocess.run(
        [sys.executable, str(file)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_all_are_checked():
    assert BLOCKS.keys() == CHECKS.keys()

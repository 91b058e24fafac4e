"""A sound file of every format, and how a changed one is read, or refused."""

from pathlib import Path

import pytest

from toner_jax.config import base
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.data.formats.format import count_labels
from toner_jax.data.formats.registry import FORMATS, read_path
from toner_jax.data.options import DataOptions
from toner_jax.errors import UserError

OPTIONS = DataOptions.from_section(base().data)
CONLL = BUILTIN["conll2003"]

# A sound file of each format, with an entity and a character outside ASCII; brat's is the .ann of BRAT_TEXT.
SOUND = {
    "columns": "Zoë B-PER\nLima I-PER\nslept O\n\nRain O\n",
    "csv": "Word,Tag\nZoë,B-PER\nLima,I-PER\nslept,O\n\nRain,O\n",
    "jsonl": '{"text": "Zoë Lima slept", "entities": [{"start": 0, "end": 8, "label": "PER"}]}\n',
    "doccano": '{"text": "Zoë Lima slept", "label": [[0, 8, "PER"]]}\n',
    "label_studio": '[{"id": 1,\n"data": {"text": "Zoë Lima slept"},\n"annotations": [{"result": [\n'
    '{"type": "labels", "value": {"start": 0, "end": 8, "labels": ["PER"]}}]}]}]\n',
    "brat": "T1\tPER 0 8\tZoë Lima\n",
}
BRAT_TEXT = "Zoë Lima slept"


def labels_of(path: Path, name: str, options: DataOptions) -> dict[str, int]:
    """The labels that one file or folder uses, as it spells them, by how often."""
    return count_labels(read_path(path, name, None, "", options))


def load(format: str, content: str | bytes, folder: Path):
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    path = folder / f"file{FORMATS[format].suffixes[0]}"
    if format == "brat":
        path = folder / "brat"
        path.mkdir()
        (path / "a.txt").write_text(BRAT_TEXT, encoding="utf-8", newline="")
        (path / "a.ann").write_bytes(data)
        return FORMATS[format].read(path, CONLL, "dev", OPTIONS), path / "a.ann"
    path.write_bytes(data)
    return FORMATS[format].read(path, CONLL, "dev", OPTIONS), path


def refused(format: str, content: str | bytes, folder: Path) -> tuple[int | None, str]:
    """The line that the error names, and its message behind it."""
    with pytest.raises(UserError) as caught:
        load(format, content, folder)
    message = str(caught.value)
    name = str(folder / ("brat" if format == "brat" else "file"))
    assert message.startswith(name)
    assert len(message.splitlines()) == 1
    assert len(message) - len(name) < 600
    place, _, problem = message.removeprefix(name).partition(": ")
    line = place.rpartition(":")[2]
    return int(line) if line.isdigit() else None, problem

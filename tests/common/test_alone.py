"""Modules of a package without the package."""

from __future__ import annotations

import subprocess
import sys

import pytest

from toner_jax.common.alone import Alone


@pytest.fixture
def package(tmp_path, monkeypatch):
    """One whose `__init__` fails, with a module that imports two others, one of them in a package within it."""
    files = {
        "heavy/__init__.py": "raise RuntimeError('it is heavy')",
        "heavy/inner/__init__.py": "raise RuntimeError('so is this')",
        "heavy/inner/words.py": "import math\nfrom heavy import other\nfrom heavy.inner.more import LAST\n"
        "def first():\n    return other.NAME, LAST, math.pi",
        "heavy/inner/more.py": "import heavy.other\nLAST = heavy.other.NAME.upper()",
        "heavy/other.py": "NAME = 'a'",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Alone("heavy")


def test_its_modules_import_each_other(package):
    name, last, pi = package.load("heavy.inner.words").first()
    assert (name, last, round(pi)) == ("a", "A", 3)
    assert not [module for module in sys.modules if module.startswith("heavy")]
    with pytest.raises(RuntimeError, match="it is heavy"):
        __import__("heavy")


def test_what_is_not_there(package):
    with pytest.raises(ImportError):
        Alone("no_such_package_here")
    with pytest.raises((ImportError, OSError)):
        package.load("heavy.nothing")


@pytest.mark.slow
def test_treebank_rules_come_without_the_rest_of_nltk():
    """Which takes a second and a half, scipy's statistics and scikit-learn among it. A program's own import of it is
    whole, and cuts alike."""
    program = """
import sys
from toner_jax.text.words import words_between
text = "They'll gonna say \\"no\\" (twice) in Lima, won't they?"
words = [text[a:b] for a, b in words_between(text, 0, len(text))]
assert "nltk" not in sys.modules and "scipy" not in sys.modules, sorted(sys.modules)
import nltk
whole = [text[a:b] for a, b in nltk.tokenize.NLTKWordTokenizer().span_tokenize(text)]
assert words == whole, (words, whole)
nltk.FreqDist(words)
"""
    subprocess.run([sys.executable, "-c", program], check=True)

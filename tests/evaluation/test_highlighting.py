"""Texts with their entities marked."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from toner_jax.evaluation.highlighting import Shown, as_html, in_brackets

ENTITIES = {
    "Ann saw Bo": [(0, 3, "person"), (8, 10, "dog")],
    "a b c": [(0, 5, "x"), (2, 3, "y")],
    "ab cd e": [(3, 5, "x"), (0, 5, "y")],
    "one two six": [(0, 7, "x"), (4, 11, "y")],  # crossing
    '<b>&amp; "q"</b>': [(0, 3, "x"), (4, 8, "y")],
    "": [],
    "none here": [],
}


def spans(of):
    return [{"start": s, "end": e, "label": label, "score": 0.5} for s, e, label in of]


@pytest.mark.parametrize(
    ("text", "of", "expected"),
    [
        ("Ann saw Bo", [(0, 3, "person"), (8, 10, "dog")], "[Ann](person) saw [Bo](dog)"),
        ("a b c", [(0, 5, "x"), (2, 3, "y")], "[a [b](y) c](x)"),
        ("a b c", [(0, 3, "x"), (0, 1, "y"), (4, 5, "z")], "[[a](y) b](x) [c](z)"),
        ("ab cd", [(3, 5, "x"), (0, 5, "y")], "[ab [cd](x)](y)"),
    ],
)
def test_in_brackets(text, of, expected):
    assert in_brackets(text, spans(of)) == expected


class Reader(HTMLParser):
    """The characters of a page outside labels, and for each the labels of the marks that it stands in."""

    def __init__(self):
        super().__init__()
        self.text, self.inside, self.stack, self.of = "", [], [], []
        self.in_label = False

    def handle_starttag(self, tag, attrs):
        if tag == "mark":
            self.stack.append(len(self.of))
            self.of.append(None)
        self.in_label |= tag == "small"

    def handle_endtag(self, tag):
        if tag == "mark":
            self.stack.pop()
        self.in_label &= tag != "small"

    def handle_data(self, data):
        if self.in_label:
            self.of[self.stack[-1]] = data
        else:
            self.text += data
            self.inside += [tuple(self.stack)] * len(data)


@pytest.mark.parametrize("text", ENTITIES)
def test_html_says_the_same(text):
    """Read back by a parser: the text is whole, and every character is marked with the labels of its entities."""
    of = ENTITIES[text]
    reader = Reader()
    reader.feed(as_html(text, spans(of), ("x", "y", "person", "dog")))
    assert reader.text == text
    for i, stack in enumerate(reader.inside):
        assert sorted(reader.of[k] for k in stack) == sorted(label for s, e, label in of if s <= i < e)


def test_colours_tell_labels_apart():
    text = as_html("a b", spans([(0, 1, "x"), (2, 3, "y")]), ("x", "y"))
    assert len(set(re.findall(r"hsl\((\d+) ", text))) == 2


def test_shown():
    shown = Shown(["Ann \x1b[2J", "b"], [spans([(0, 3, "person")]), []], ("person",))
    assert repr(shown) == "[Ann](person) \\x1b[2J\nb"
    assert repr(Shown(["Ann\nleft"], [spans([(0, 3, "person")])], ("person",))) == "[Ann](person)\nleft"
    # Half of a character has no place in a page.
    assert Shown(["a\ud800b"], [[]], ())._repr_html_().encode().count("\ufffd".encode()) == 1
    assert shown._repr_html_().count("<div") == 2

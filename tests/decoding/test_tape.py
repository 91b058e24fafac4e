"""Tapes: host arrays, made without jax."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest
from chunks import word_ids

from toner_jax.decoding.compile import compile_grammar
from toner_jax.decoding.tape import DraftPlan, lay_out, make_tapes, pack, type_pieces, type_starts, unpack
from toner_jax.tasks.grammar import entity_list, type_list

TYPES = ("cell", "cell_type")
ROOM = 40
TEXTS = [(), ("Ab",), ("Ab", "cd"), ("abc", "abcd"), ("ab", "abcdef", "ab"), ("cell", "),", "(")]


def leaves(tape: NamedTuple) -> dict[str, np.ndarray]:
    own = {name: leaf for name, leaf in tape._asdict().items() if not isinstance(leaf, DraftPlan)}
    return own | {f"draft_plan.{name}": leaf for name, leaf in tape.draft_plan._asdict().items()}


def made(texts, ids=None):
    ids = ids or word_ids()
    grammar = entity_list(ids, TYPES)
    return make_tapes(grammar, [[ids.word(w) for w in words] for words in texts], ROOM)


def test_rows_of_a_batch_have_their_own_texts():
    ids = word_ids()
    together, words = made(TEXTS, ids)
    for i, text in enumerate(TEXTS):
        alone, own_words = made([text], ids)
        for name, leaf in leaves(alone).items():
            np.testing.assert_array_equal(leaves(together)[name][i], leaf[0], err_msg=name)
        np.testing.assert_array_equal(words[i], own_words[0])


def test_a_tape_spells_the_symbols_the_types_and_the_text():
    ids = word_ids()
    words = ("Ab", "abcdef", "Ab")
    grammar = entity_list(ids, TYPES)
    layout, (*types_at, text_at) = lay_out(grammar), type_starts(grammar)
    tape, (owner,) = make_tapes(grammar, [[ids.word(w) for w in words]], ROOM)
    tokens = np.where(tape.candidate < 0, -1, np.take_along_axis(tape.candidates, tape.candidate, axis=1))[0]
    symbols = grammar.open + grammar.first + grammar.empty + grammar.another + grammar.last
    text = ids.words(words)
    assert tokens.tolist() == [
        *symbols,
        *grammar.types[0],
        *grammar.types[1],
        *text,
        *[-1] * (ROOM - type_pieces(grammar) - len(text)),
    ]
    assert owner.tolist() == [0, 1, 1, 1, 2]
    begins = np.flatnonzero(tape.unit_start[0])
    assert begins.tolist() == [*types_at, *(text_at + k for k in (0, 1, 4))]
    ends = np.flatnonzero(tape.unit_end[0] & (np.arange(len(tokens)) >= layout.types))
    assert (ends - begins + 1).tolist() == [*map(len, grammar.types), 1, 3, 1]
    assert tape.word_end[0, begins[2:]].tolist() == [text_at + k for k in (1, 4, 5)]
    assert tape.last_start.tolist() == [text_at + 4]
    assert (tape.text.tolist(), tape.types.tolist()) == ([text_at], [2])


def test_a_list_of_types_has_them_twice_and_no_text():
    ids = word_ids()
    grammar = type_list(ids, ("gene", "cell line"))
    tape, words = make_tapes(grammar, [(), ()], ROOM)
    begins = np.flatnonzero(tape.unit_start[1])
    assert tape.type[1, begins].tolist() == [0, 1, 0, 1]
    assert begins[2] == type_starts(grammar)[-1] == tape.text[0] == tape.text[1]
    assert tape.candidate.shape[1] == lay_out(grammar).types + ROOM
    assert [len(w) for w in words] == [0, 0]


def test_what_does_not_fit_is_refused():
    types = type_pieces(entity_list(word_ids(), TYPES))
    with pytest.raises(ValueError, match=f"{types + 33} pieces of types and text pass the tape's 40"):
        made([("abcdef",) * 11])


def test_schemas_share_layout_and_automaton():
    ids = word_ids()
    for make in (entity_list, type_list):
        one, other = (make(ids, names) for names in (TYPES, ("gene", "cell line", "cell")))
        assert lay_out(one) == lay_out(other)
        assert compile_grammar(one) == compile_grammar(other)
        assert hash(compile_grammar(one)) == hash(compile_grammar(other))


def test_packing_loses_nothing():
    tape, _ = made(TEXTS)
    for (name, old), new in zip(leaves(tape).items(), leaves(unpack(pack(tape))).values(), strict=True):
        assert old.dtype == new.dtype, name
        np.testing.assert_array_equal(old, new, err_msg=name)


def test_tapes_need_no_jax():
    program = "import sys, toner_jax.decoding.tape; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

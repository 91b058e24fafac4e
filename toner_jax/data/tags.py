"""Tags of words → entities: IOB1, IOB2, IOBES and BILOU.

Spans are the same whichever scheme a file follows: `B-X` always begins an entity, `I-X` and `E-X` begin
one wherever no entity of type X is open, `E-X` ends it, and `S-X` is one by itself; BILOU writes L for E
and U for S. The scheme only decides what is normal and what a fault, and it is settled once per file:

- A file with an E, S, L or U is IOBES or BILOU. Each entity must begin with B and end with E, or be an S.
- Under IOB1 an entity begins with `B-` only right after another of its own type. So a file is IOB1 when
  some entity begins with `I-` and none begins with `B-` where IOB1 would have put `I-`.
- Any other file is IOB2, and each of its entities that begins with `I-` is a fault.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from toner_jax.data.reading import resolve_label
from toner_jax.data.repairs import Repairs
from toner_jax.errors import UserError
from toner_jax.schema import Entity, Schema

# A tag, parsed: its prefix (B, I, E or S) and the name of its type; outside any entity both are empty.
Tag = tuple[str, str]
OUTSIDE: Tag = ("", "")

_PREFIXES = {"B": "B", "I": "I", "E": "E", "S": "S", "L": "E", "U": "S"}


class TagReader:
    """Reads the tags of one file.

    Attributes:
      known: every spelling parsed so far → its tag. Look there first: a file has few.
    """

    def __init__(self, schema: Schema | None):
        """A schema of None leaves the labels as the file spells them."""
        self._schema = schema
        # Where entities begin, by the prefix of their first word; IOB1's B apart.
        self._starts: defaultdict[str, list[str]] = defaultdict(list)
        self._unclosed: list[str] = []  # entities that begin with B and do not end with E
        self._closing = False  # an E or S was seen
        self.known: dict[str, Tag] = {"O": OUTSIDE}

    def parse(self, tag: str, location: str) -> Tag:
        """The tag that a spelling stands for.

        Raises:
          UserError: naming `location`: it has no or an unknown prefix, or a label that the schema lacks.
        """
        if tag not in self.known:
            self.known[tag] = self._parse(tag, location)
        return self.known[tag]

    def entities(self, tags: Sequence[Tag], place: Callable[[int], str]) -> Iterator[Entity]:
        """The entities of one column of one sentence.

        Args:
          place: names where a word stands, by its number.
        """
        start, first, current = 0, "", ""
        for i, (prefix, type_) in enumerate(tags):
            if type_ != current or prefix in ("B", "S"):
                if current:
                    if first == "B":
                        self._unclosed.append(place(start))
                    yield Entity(start, i, current)
                # IOB1 writes B right after its own type, so there it does not tell the schemes apart.
                if prefix and (prefix != "B" or type_ != current):
                    self._starts[prefix].append(place(i))
                start, first, current = i, prefix, type_
            if prefix in ("E", "S"):
                self._closing = True
                yield Entity(start, i + 1, current)
                current = ""
        if current:
            if first == "B":
                self._unclosed.append(place(start))
            yield Entity(start, len(tags), current)

    @property
    def scheme(self) -> str:
        """The scheme of all tags so far: "IOB1", "IOB2" or "IOBES"."""
        if self._closing:
            return "IOBES"
        return "IOB1" if self._starts["I"] and not self._starts["B"] else "IOB2"

    def repairs(self) -> Repairs:
        """Faults so far, by the scheme of all tags so far: `i_without_b`, `e_without_b`, `b_without_e`."""
        if self._closing:
            places = {
                "i_without_b": self._starts["I"],
                "e_without_b": self._starts["E"],
                "b_without_e": self._unclosed,
            }
        else:
            places = {"i_without_b": self._starts["I"] if self._starts["B"] else []}
        return Repairs(places)

    def _parse(self, tag: str, location: str) -> Tag:
        prefix, dash, label = tag.partition("-")
        wanted = "write O, B-TYPE or I-TYPE"
        shown = tag if len(tag) <= 60 else tag[:60] + "…"
        if not tag:
            problem = f"the tag is empty; {wanted}"
        elif not dash:
            problem = f"tag {shown!r} has no prefix; {wanted}"
        elif "," in tag and all(part == "O" or part[:2] in ("B-", "I-") for part in tag.split(",")):
            problem = (
                f"tag {shown!r} holds several annotations; keep one "
                "(WNUT-17's emerging.test.annotated is such a copy)"
            )
        elif prefix not in _PREFIXES:
            problem = f"tag {shown!r} has the unknown prefix {prefix[:60]!r}; {wanted}"
        elif not label.strip():
            problem = f"tag {shown!r} names no type; {wanted}"
        else:
            return _PREFIXES[prefix], resolve_label(self._schema, label, location)
        raise UserError(f"{location}: {problem}")

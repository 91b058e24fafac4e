"""Tags of words → entities: IOB1, IOB2, IOBES, BILOU and their relatives, and labels without prefixes.

Spans are the same whichever scheme a file follows: `B-X` always begins an entity, `I-X` and `E-X` begin
one wherever no entity of type X is open, `E-X` ends it, and `S-X` is one by itself; BILOU writes L for E
and U for S, BMES writes M for I (`toner_jax.data.notation`). The scheme only decides what is normal and what a fault,
and it is settled once per file:

- A file with an S is IOBES (BILOU, BMES). Each entity must begin with B and end with E, or be an S.
- One with E and B and without S is the same, unless some entity is a B alone: then it is BIOE, where that is one.
- One with E and neither B nor S is IOE. Under IOE1 an entity ends with `E-` only right before another of its own type,
  under IOE2 every one.
- Under IOB1 an entity begins with `B-` only right after another of its own type. So a file is IOB1 when
  some entity begins with `I-` and none begins with `B-` where IOB1 would have put `I-`.
- A file of labels without prefixes is IO: neighbours of one label are one entity, since nothing tells two apart.
- Any other file is IOB2, and each of its entities that begins with `I-` is a fault.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from toner_jax.data.notation import OUTSIDE, PLAIN, Notation, settle_notation
from toner_jax.data.reading import resolve_label, shown
from toner_jax.data.repairs import Repairs
from toner_jax.data.tag_names import Tagging, find_names, is_number
from toner_jax.errors import ParameterError, UserError
from toner_jax.schema import Entity, Schema

# A tag, parsed: its prefix (B, I, E or S) and the name of its type; outside any entity both are empty.
Tag = tuple[str, str]
_OUTSIDE: Tag = ("", "")

PLAIN_SCHEME = "IO"
USUAL_SCHEMES = ("IOB1", "IOB2", "IOBES")

Place = Callable[[int], str]  # names where a word stands, by its number


class TagReader:
    """Reads the tags of one file: `add` all of them, then ask for `entities`."""

    def __init__(self, schema: Schema | None, tagging: Tagging | None = None):
        """A schema of None leaves the labels as the file spells them."""
        self._schema, self._tagging = schema, tagging or Tagging()
        self._seen: dict[str, str] = {}  # spelling → where it first stands
        self._settled: dict[str, Tag] | None = None
        self._notation = Notation()
        # Where entities begin, by the prefix of their first word; IOB1's B apart.
        self._starts: defaultdict[str, list[str]] = defaultdict(list)
        # Where entities begin that do not end with E: with B, those of them that are one word, with I.
        self._unclosed: defaultdict[str, list[str]] = defaultdict(list)
        self._free_end = False  # an E stands elsewhere than right before its own type

    def add(self, tags: Iterable[str], location: str) -> None:
        """Takes note of tags that stand at a location, before any entity is asked for."""
        for tag in tags:
            self._seen.setdefault(tag, location)

    def entities(self, tags: Sequence[str], place: Place) -> Iterator[Entity]:
        """The entities of one column of one sentence.

        Raises:
          UserError: at the first call, naming where it stands: a tag that is none or is written otherwise than the
            rest, a number without a name, or a label that the schema lacks.
        """
        known = self._known()
        parsed = [known[tag] for tag in tags]
        start, current = 0, ""
        for i, (prefix, type_) in enumerate(parsed):
            if type_ != current or prefix in ("B", "S"):
                if current:
                    self._note_unclosed(parsed[start][0], start, i, place)
                    yield Entity(start, i, current)
                # IOB1 writes B right after its own type, so there it does not tell the schemes apart.
                if prefix and (prefix != "B" or type_ != current):
                    self._starts[prefix].append(place(i))
                start, current = i, type_
            if prefix in ("E", "S"):
                self._free_end |= parsed[i + 1 : i + 2] not in ([("I", type_)], [("E", type_)])
                yield Entity(start, i + 1, current)
                current = ""
        if current:
            self._note_unclosed(parsed[start][0], start, len(parsed), place)
            yield Entity(start, len(parsed), current)

    @property
    def scheme(self) -> str:
        """The scheme of all tags so far, and how they are written where that is unusual."""
        return f"{self._scheme()}{self._notation}"

    def _scheme(self) -> str:
        prefixes = {prefix for prefix, _ in self._known().values()}
        if self._notation == PLAIN:
            return PLAIN_SCHEME
        if "S" in prefixes or ("E" in prefixes and "B" in prefixes):
            return "BIOE" if "S" not in prefixes and self._unclosed["B alone"] else "IOBES"
        if "E" in prefixes:
            return "IOE1" if self._unclosed["I"] and not self._free_end else "IOE2"
        return "IOB1" if self._starts["I"] and not self._starts["B"] else "IOB2"

    def repairs(self) -> Repairs:
        """Faults so far, by the scheme of all tags so far: `i_without_b`, `e_without_b`, `b_without_e`,
        `i_without_e`."""
        inside, ends, unclosed = self._starts["I"], self._starts["E"], self._unclosed
        several = [*unclosed["B alone"], *unclosed["B"]]
        faults: Mapping[str, Mapping[str, list[str]]] = {
            "IOBES": {"i_without_b": inside, "e_without_b": ends, "b_without_e": several},
            "BIOE": {"i_without_b": inside, "e_without_b": ends, "b_without_e": unclosed["B"]},
            "IOE2": {"i_without_e": unclosed["I"]},
            "IOB2": {"i_without_b": inside},
        }
        return Repairs(faults.get(self._scheme(), {}), self.scheme)

    def _note_unclosed(self, prefix: str, start: int, end: int, place: Place) -> None:
        kind = "B alone" if prefix == "B" and end - start == 1 else prefix
        self._unclosed[kind].append(place(start))

    def _known(self) -> Mapping[str, Tag]:
        """Spelling → tag, for all that were added."""
        if self._settled is None:
            self._settled = self._settle()
        return self._settled

    def _settle(self) -> dict[str, Tag]:
        names = self._names()
        # The names that a file gives to numbers are written alike, those that no word has, too.
        self._notation = settle_notation(
            dict.fromkeys(names.values(), next(iter(self._seen.values()), "")) if names else self._seen,
            self._tagging.prefix,
        )
        return {tag: self._parse(names[tag] if names else tag, at) for tag, at in self._seen.items()}

    def _parse(self, tag: str, location: str) -> Tag:
        parts = None if tag in OUTSIDE else self._notation.split(tag)
        return (parts[0], resolve_label(self._schema, parts[1], location)) if parts else _OUTSIDE

    def _names(self) -> Mapping[str, str]:
        """The names of all tags, if they are numbers; empty if they are not."""
        numbers = [tag for tag in self._seen if is_number(tag)]
        if not numbers:
            if self._tagging.names and self._seen:
                at = next(iter(self._seen.values()))
                raise ParameterError(
                    "data.tag_names",
                    repr(self._tagging.names),
                    f"the tags are no numbers ({at}); leave it empty",
                )
            return {}
        # Among names, and said to be labels alone, a number is a label like the others.
        mixed = len(numbers) < len(self._seen)
        if mixed and self._tagging.prefix == "none" and find_names(self._tagging) is None:
            return {}
        return self._named(numbers)

    def _named(self, numbers: Sequence[str]) -> Mapping[str, str]:
        first = numbers[0]
        if other := next((tag for tag in self._seen if not is_number(tag)), None):
            raise UserError(
                f"{self._seen[first]}: tag {shown(first)} is a number, unlike {shown(other)} ({self._seen[other]}); "
                "write all tags as names, or all as numbers"
            )
        found = find_names(self._tagging)
        if found is None:
            raise UserError(
                f"{self._seen[first]}: tag {first} is a number without a name; give the names in data.tag_names, a "
                'tuple or a file, or put them beside the data as label.json, {"O": 0, "B-TYPE": 1}'
            )
        names, source = found
        for tag in numbers:
            if int(tag) not in names:
                raise UserError(
                    f"{self._seen[tag]}: tag {tag} has no name; {source} names {len(names)} of them"
                )
        return {str(number): name for number, name in names.items()} | {t: names[int(t)] for t in numbers}

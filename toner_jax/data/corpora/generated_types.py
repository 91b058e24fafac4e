"""Twenty finer types for the generated corpus: the same sentences, annotated with what a mention's own words say (a
lake, a treaty), or with what only its sentence says (an athlete, a namesake)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from toner_jax.data.corpora.generated_words import WORDS
from toner_jax.schema import Entity, EntityType, Schema

FINE = Schema(
    "generated-fine",
    (
        EntityType("athlete", "names of people who play, run, swim or coach"),
        EntityType("dignitary", "names of people with a title before them, such as Dr. or Senator"),
        EntityType("private person", "names of all other people"),
        EntityType("namesake", "names of people within the names of schools, trusts and contests"),
        EntityType("company", "firms that make or sell goods"),
        EntityType("school", "universities, colleges and academies"),
        EntityType("institution", "councils, hospitals, museums, banks, foundations and societies"),
        EntityType("club", "sports clubs"),
        EntityType("town", "towns, villages and other inhabited places"),
        EntityType("region", "counties, provinces, and the parts of places that a compass names"),
        EntityType("landscape", "lakes, mountains, valleys, bays, islands, falls and parks"),
        EntityType("numbered model", "devices and vehicles with a model number"),
        EntityType("product", "devices and vehicles without a number"),
        EntityType("contest", "cups, marathons, games and other contests"),
        EntityType("meeting", "conferences, summits, fairs and festivals"),
        EntityType("historic event", "battles, sieges and treaties"),
        EntityType("day", "days of a week or of a calendar"),
        EntityType("month", "months and seasons of a year"),
        EntityType("year", "years on their own"),
        EntityType("decade", "decades"),
    ),
)

# What the pattern that a mention is written by says.
_OF_PATTERN = {
    "firm": "company", "company": "company", "brand": "company", "school": "school", "institution": "institution",
    "club": "club", "contests": "contest", "meetings": "meeting", "history": "historic event",
}  # fmt: skip
_LANDSCAPE = {"Lake", "Mount", "Valley", "Bay", "Island", "Heights", "Park", "Falls"}
_REGION = {"County", "Province", *WORDS["compass"], "Upper"}
_SPORTING = {*WORDS["player"], "coach", "Coach", "final"}
_SPORTS = {"club", "contest"}


def finer(words: Sequence[str], entities: Sequence[Entity], patterns: Sequence[str]) -> list[Entity]:
    """A sentence's entities with their finer types.

    Args:
      patterns: of each, what it is written by: the outermost of the patterns that stand for one type, "" without.
    """
    found = [_by_itself(e, words[e.start : e.end], p) for e, p in zip(entities, patterns, strict=True)]
    sporting = not _SPORTING.isdisjoint(words) or not _SPORTS.isdisjoint(filter(None, found))
    return [
        Entity(e.start, e.end, own or _person(e, words, entities, sporting))
        for e, own in zip(entities, found, strict=True)
    ]


def outermost(parts: Iterable[str]) -> str:
    """The first of the names of patterns that stands for one type; "" for none."""
    return next((part for part in parts if part in _OF_PATTERN), "")


def _by_itself(entity: Entity, words: Sequence[str], pattern: str) -> str:
    """The type that a mention has whatever stands around it; "" for people."""
    if entity.type == "organization":
        return _OF_PATTERN.get(pattern, "company")  # a bare word: of templates that say so
    if entity.type == "event":
        return _OF_PATTERN[pattern]
    if entity.type == "location":
        if not _LANDSCAPE.isdisjoint(words):
            return "landscape"
        return "town" if _REGION.isdisjoint(words) else "region"
    if entity.type == "product":
        numbered = any(any(map(str.isdigit, word)) for word in words)
        return "numbered model" if numbered else "product"
    return _date(words) if entity.type == "date" else ""


def _date(words: Sequence[str]) -> str:
    if words[-1].endswith("0s"):
        return "decade"
    if len(words) == 1:
        return "year" if words[0].isdigit() else "day"  # a weekday
    return "month" if len(words) == 2 and words[1].isdigit() and len(words[1]) == 4 else "day"


def _person(entity: Entity, words: Sequence[str], entities: Sequence[Entity], sporting: bool) -> str:
    if any(o is not entity and o.start <= entity.start and entity.end <= o.end for o in entities):
        return "namesake"
    before = words[entity.start - 1] if entity.start else ""
    if before in WORDS["title"]:
        return "dignitary"
    return "athlete" if sporting else "private person"

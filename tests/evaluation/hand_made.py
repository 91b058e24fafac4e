"""Three sentences and their predictions, small enough to score by hand."""

from toner_jax.schema import Entity, EntityType, Schema, make_sentence

SCHEMA = Schema("test", tuple(EntityType(name) for name in ("person", "location", "work_of_art")))
P, L, W = SCHEMA.names


def sentence(text, *entities):
    return make_sentence("s", text.split(), spans(*entities), SCHEMA)


def spans(*entities):
    return tuple(Entity(*e) for e in entities)


# Two of three predictions are right: "Paris" is called a person, and "Rome" is not found.
GOLD = [
    sentence("Ada Lovelace saw Paris .", (0, 2, P), (3, 4, L)),
    sentence("nothing here"),
    sentence("Rome and Oslo", (0, 1, L), (2, 3, L)),
]
PREDICTED = [spans((0, 2, P), (3, 4, P)), spans(), spans((2, 3, L))]
PAIRS = [[(P, "Ada Lovelace"), (P, "Paris")], [], [(L, "Oslo")]]

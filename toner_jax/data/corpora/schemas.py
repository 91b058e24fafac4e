"""Schemas of the benchmark data sets, and the way to a user's own.

CoNLL-2003's descriptions are the paper's (Table 1); the others are in our own words after each
set's annotation guidelines. The type matching model reads `name: description`, so a description
says what a sentence that mentions the type would be about and leaves the name out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from toner_jax.common import reads
from toner_jax.common.files import expanded
from toner_jax.errors import UserError
from toner_jax.schema import EntityType, Schema, read_schema

_SCHEMA_SUFFIXES = (".json", ".yaml", ".yml")

_CONLL2003 = (
    EntityType("organization", "Companies, agencies, institutions, etc.", ("ORG",)),
    EntityType("person", "Names of people.", ("PER",)),
    EntityType(
        "miscellaneous",
        "Names of miscellaneous entities that do not belong to person, organization and location.",
        ("MISC",),
    ),
    EntityType("location", "Names that are locations.", ("LOC",)),
)

_ONTONOTES = (
    EntityType("person", "Names of people, including fictional characters.", ("PERSON",)),
    EntityType("norp", "Nationalities, ethnic origins, religions and political affiliations.", ("NORP",)),
    EntityType("facility", "Buildings, airports, stations, highways, bridges and monuments.", ("FAC",)),
    EntityType("organization", "Companies, agencies, institutions, political parties and teams.", ("ORG",)),
    EntityType("gpe", "Countries, states, provinces, cities and towns.", ("GPE",)),
    EntityType("location", "Mountains, rivers, seas, continents and regions without a government.", ("LOC",)),
    EntityType(
        "product", "Vehicles, weapons, foods, devices and other goods, but not services.", ("PRODUCT",)
    ),
    EntityType("event", "Named wars, battles, storms, disasters and sports tournaments.", ("EVENT",)),
    EntityType("work_of_art", "Titles of books, songs, films, plays, paintings and shows.", ("WORK_OF_ART",)),
    EntityType("law", "Acts, treaties, constitutions and other named legal documents.", ("LAW",)),
    EntityType("language", "Named tongues that people speak or write, such as English.", ("LANGUAGE",)),
    EntityType("date", "Days, months, years, ages and spans of a day or longer.", ("DATE",)),
    EntityType("time", "Hours, minutes and parts of a day, such as morning.", ("TIME",)),
    EntityType("percent", "Shares and rates in hundredths, with the sign or the word for it.", ("PERCENT",)),
    EntityType("money", "Prices and sums in a currency, with its unit.", ("MONEY",)),
    EntityType(
        "quantity", "Measurements of weight, distance, area or speed, with their unit.", ("QUANTITY",)
    ),
    EntityType("ordinal", "Places in an order, such as first or third.", ("ORDINAL",)),
    EntityType("cardinal", "Plain numbers and counts that measure, price or rank nothing.", ("CARDINAL",)),
)

_JNLPBA = (
    EntityType(
        "protein",
        "Receptors, enzymes, cytokines, antibodies and transcription factors, with their families, "
        "complexes and subunits.",
        ("protein",),
    ),
    EntityType("dna", "Genes, promoters, enhancers, binding sites and other parts of a genome.", ("DNA",)),
    EntityType("rna", "Transcripts of genes, such as messenger and ribosomal molecules.", ("RNA",)),
    EntityType(
        "cell_type",
        "Natural cells of an organism by tissue or lineage, such as T lymphocytes and monocytes.",
        ("cell_type",),
    ),
    EntityType(
        "cell_line",
        "Cultured, transformed or cloned cells kept in a laboratory, such as HeLa and Jurkat.",
        ("cell_line",),
    ),
)

_ACE = (
    EntityType("person", "Humans, alone or in groups, by name, description or pronoun.", ("PER",)),
    EntityType("organization", "Companies, agencies, parties, militaries, media and teams.", ("ORG",)),
    EntityType("gpe", "Countries, states, cities and others with land, people and government.", ("GPE",)),
    EntityType("location", "Rivers, mountains, borders, regions and celestial bodies.", ("LOC",)),
    EntityType("facility", "Buildings, airports, plants, prisons, roads and bridges.", ("FAC",)),
    EntityType(
        "vehicle", "Cars, trains, ships, aircraft and whatever else carries people or goods.", ("VEH",)
    ),
    EntityType("weapon", "Guns, bombs, missiles, blades and chemical or nuclear arms.", ("WEA",)),
)

_WNUT17 = (
    EntityType("corporation", "Companies and businesses, such as Google.", ("corporation",)),
    EntityType(
        "creative_work", "Titles of films, books, songs, television shows and games.", ("creative-work",)
    ),
    EntityType("group", "Bands, sports teams and other named sets of people, not companies.", ("group",)),
    EntityType("location", "Countries, cities, regions, buildings and other named places.", ("location",)),
    EntityType("person", "Names of people, real or fictional.", ("person",)),
    EntityType("product", "Devices, foods, software and other goods with a brand name.", ("product",)),
)

# Other names for the same types.
_AUTHORS_ONTONOTES = {"facility": "fac", "organization": "org", "location": "loc"}
_AUTHORS_WNUT17 = {"creative_work": "creative-work"}


def _renamed(types: Sequence[EntityType], names: Mapping[str, str]) -> tuple[EntityType, ...]:
    return tuple(EntityType(names.get(t.name, t.name), t.description, t.tags) for t in types)


BUILTIN: Mapping[str, Schema] = MappingProxyType(
    {
        name: Schema(name, types)
        for name, types in (
            ("conll2003", _CONLL2003),
            ("ontonotes", _ONTONOTES),
            ("jnlpba", _JNLPBA),
            ("ace2004", _ACE),
            ("ace2005", _ACE),
            ("wnut17", _WNUT17),
            # With the names that the authors of ToNER give the types in their code.
            ("ontonotes-authors", _renamed(_ONTONOTES, _AUTHORS_ONTONOTES)),
            ("wnut17-authors", _renamed(_WNUT17, _AUTHORS_WNUT17)),
        )
    }
)


def get_schema(name_or_path: str) -> Schema:
    """A built-in schema by its name, or a schema file by its path.

    What is no built-in name is a path when such a file exists, or when it looks like one: it has
    a folder in it or ends in .json, .yaml or .yml.

    Raises:
      UserError: neither a built-in name nor a path, or the file is not a schema.
    """
    if name_or_path in BUILTIN:
        return BUILTIN[name_or_path]
    path = expanded(name_or_path)
    if reads.is_file(path) or path.suffix.lower() in _SCHEMA_SUFFIXES or len(path.parts) > 1:
        return read_schema(path)
    raise UserError(
        f"schema {name_or_path!r}: not one of {', '.join(BUILTIN)}, nor the path of a JSON or YAML file"
    )

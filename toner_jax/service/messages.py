"""What the service is asked, and what it answers, as JSON."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field
from pydantic.config import JsonDict

from toner_jax import schema


def _whole(text: str) -> str:
    """A text without halves of characters, which no answer could hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("has half of a character (a lone surrogate)") from None
    return text


def _several(texts: Any) -> Any:
    """What is no single text."""
    if isinstance(texts, str):
        raise ValueError("expected a list of texts; wrap a single one: [text]")
    return texts


Text = Annotated[str, AfterValidator(_whole)]
Cosine = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

_EXAMPLE: JsonDict = {"texts": ["Judge Ivan Borcalski came to Selqua."], "labels": ["person", "location"]}


class About(BaseModel):
    """Texts, and the types to look for."""

    model_config = {"extra": "forbid", "json_schema_extra": {"examples": [_EXAMPLE]}}

    texts: Annotated[list[Text], BeforeValidator(_several)] = Field(
        description="Raw texts of any length; they are read a sentence at a time."
    )
    labels: list[Text] | dict[Text, Text | None] | None = Field(
        None, description="Types to look for, names or names → descriptions; without them, those of training."
    )


class Asked(About):
    """Texts, and which of their entities are wanted."""

    threshold: Probability | None = Field(
        None, description="The least score of an entity; by default the run's."
    )
    type_threshold: Cosine | None = Field(
        None, description="δ: types above it are likely; by default the run's."
    )
    flat: bool = Field(False, description="Of entities that overlap, only the likeliest.")
    stream: bool = Field(
        False, description="Answer with lines of JSON, a sentence each, as soon as it is read."
    )


class Entity(BaseModel):
    """`start` and `end` count characters (code points) of the text, half-open; `score` is `type_score` times
    `span_score`."""

    start: int
    end: int
    text: str
    label: str
    score: float
    type_score: float
    span_score: float


class Prediction(BaseModel):
    """Of one text. `info` says how much of it was read."""

    entities: list[Entity]
    info: dict[str, Any]
    explanation: str | None = None


class Predictions(BaseModel):
    """Of each text, in their order."""

    predictions: list[Prediction]


class Types(BaseModel):
    """Of each text, the cosine of each label (Eq. 3), by descending value."""

    types: list[dict[str, float]]


class Label(BaseModel):
    name: str
    description: str


class Model(BaseModel):
    """What the service has, and what it takes."""

    model: str
    version: str
    labels: list[Label]
    threshold: float
    type_threshold: float
    matches: bool
    explains: bool
    limits: dict[str, int | float]
    note: str = Field("", description="What everyone who uses the model has to know.")


class Ready(BaseModel):
    """`prepared` of `programs` are compiled; until all are, a text may have to wait for one."""

    ready: bool
    prepared: int
    programs: int


class Health(BaseModel):
    status: str


class Failure(BaseModel):
    """Why there is no answer, in one line."""

    error: str


def labels_of(types: schema.Schema) -> list[Label]:
    """A schema's types."""
    return [Label(name=t.name, description=t.description) for t in types.types]

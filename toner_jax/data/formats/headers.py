"""What the columns of words and of tags are called in files that name them."""

from __future__ import annotations

WORD = ("word", "token", "words", "tokens", "text", "form")
TAG = (
    "tag", "ner_tag", "ner", "label", "tags", "ner_tags", "labels", "entity", "entity_type", "entity_tag",
    "entity_label", "ner_label", "ner_labels", "ne", "ne_tag", "bio", "iob",
)  # fmt: skip

"""What the columns of words and of tags are called in files that name them."""

from __future__ import annotations

WORD = ("word", "token", "words", "tokens", "text")
TAG = ("tag", "ner_tag", "ner", "label", "tags", "ner_tags", "labels", "entity")

"""The files of a tokenizer's folder, as transformers writes them.

Besides the file of its kind, a SentencePiece model or a WordPiece vocabulary, a folder may hold `tokenizer.json`, which
says everything and may stand alone, and three files of settings, two of which may name tokens that were added, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from toner_jax.errors import UserError

TOKENIZER_JSON = "tokenizer.json"
SETTINGS = "tokenizer_config.json"
_ADDED = "added_tokens.json"
_SPECIAL = "special_tokens_map.json"

# All that a tokenizer may have besides the file of its kind: a copy of it has them too.
COMMON_FILES = (TOKENIZER_JSON, SETTINGS, _ADDED, _SPECIAL)

# Tokens of T5 and BERT, which no text becomes.
_OWN = re.compile(r"<pad>|</?s>|<unk>|<extra_id_\d+>|\[(PAD|UNK|CLS|SEP|MASK|unused\d+)\]")


@dataclass(frozen=True)
class AddedToken:
    """A token that was added to a vocabulary after its training.

    Attributes:
      id: in the checkpoint's embeddings.
      content: its string.
      single_word: it stands only where no letter or digit is next to it.
      lstrip, rstrip: it takes the white space at its left or right with it.
      normalized: it is looked for in the normalised text.
      special: text that spells it never becomes it.
    """

    id: int
    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False

    @property
    def is_own(self) -> bool:
        """Whether it is one of those that T5 or BERT has of itself."""
        return _OWN.fullmatch(self.content) is not None


@dataclass(frozen=True)
class TokenizerFolder:
    """A tokenizer's folder; what is damaged is a UserError that names the file."""

    path: Path

    @cached_property
    def whole(self) -> dict[str, Any]:
        """`tokenizer.json`; nothing where there is none."""
        return _read(self.path / TOKENIZER_JSON)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """`tokenizer_config.json`; nothing where there is none."""
        return _read(self.path / SETTINGS)

    def name_of(self, key: str, default: str) -> str:
        """The string of a token that the settings name, `pad_token`."""
        value = self.settings.get(key) or default
        return str(value["content"]) if isinstance(value, dict) and "content" in value else str(value)

    @cached_property
    def added_tokens(self) -> tuple[AddedToken, ...]:
        """The added tokens of all files, by id.

        Raises:
          UserError: two files disagree about one, or a file is damaged.
        """
        found: dict[int, tuple[AddedToken, str]] = {}
        ids: dict[str, int] = {}
        for token, file in self._listed():
            other, before = found.setdefault(token.id, (token, file))
            if other.content != token.content or ids.setdefault(token.content, token.id) != token.id:
                raise UserError(
                    f"{self.path / file}: added token {token.content!r} has id {token.id}, which disagrees with "
                    f"{before if other.content != token.content else 'another line'}; save the tokenizer anew"
                )
        return tuple(found[i][0] for i in sorted(found))

    def _listed(self) -> Iterator[tuple[AddedToken, str]]:
        """Each token of each file, those files first that say more of it."""
        try:
            for entry in self.whole.get("added_tokens") or ():
                yield _token(entry["id"], entry), TOKENIZER_JSON
        except (TypeError, KeyError, ValueError) as error:
            raise _damaged(self.path / TOKENIZER_JSON, error) from error
        try:
            for id, entry in (self.settings.get("added_tokens_decoder") or {}).items():
                yield _token(int(id), entry), SETTINGS
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise _damaged(self.path / SETTINGS, error) from error
        special = self._special()
        for content, id in _read(self.path / _ADDED).items():
            if type(id) is not int or id < 0:
                raise _damaged(self.path / _ADDED, f"the id of {content!r} is {id!r}")
            is_special = content in special or AddedToken(id, content).is_own
            yield AddedToken(id, content, normalized=not is_special, special=is_special), _ADDED

    def _special(self) -> set[str]:
        """The strings that the settings call special: values such as `pad_token`, and members of lists of them."""
        found: set[str] = set()
        for source in (self.settings, _read(self.path / _SPECIAL)):
            for key, value in source.items():
                if re.search("_tokens?$", key):
                    for token in value if isinstance(value, list) else [value]:
                        text = token.get("content") if isinstance(token, dict) else token
                        if isinstance(text, str):
                            found.add(text)
        return found


def _token(id: Any, entry: Mapping[str, Any]) -> AddedToken:
    if type(id) is not int or id < 0 or not isinstance(entry["content"], str) or not entry["content"]:
        raise ValueError(f"an added token with id {id!r} and content {entry['content']!r}")
    flags = [f.name for f in fields(AddedToken)[2:]]
    return AddedToken(id, entry["content"], **{name: bool(entry[name]) for name in flags if name in entry})


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if not isinstance(value, dict):
        raise _damaged(path, "it holds no JSON object")
    return value


def _damaged(path: Path, reason: object) -> UserError:
    return UserError(f"{path}: not a tokenizer's settings ({reason}); save the tokenizer anew")

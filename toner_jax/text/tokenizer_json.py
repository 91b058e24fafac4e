"""A `tokenizer.json` that stands alone, as what both back ends are made of: a SentencePiece model, or a WordPiece
vocabulary. Transformers 5 saves no other file.

What the one or the other cannot say (byte-level BPE, other normalisation) is refused, so that the ids are always
transformers' own.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from toner_jax.errors import UserError
from toner_jax.text.tokenizer_files import TOKENIZER_JSON, TokenizerFolder

SPACE = "▁"
_BYTE_PIECES = 256


def sentencepiece_model(folder: TokenizerFolder) -> bytes:
    """The SentencePiece model, serialised, that T5's `tokenizer.json` was made of. Special pieces at its end
    (`<extra_id_0>`), which are no text's, are left out.

    Raises:
      UserError: it is of another kind.
    """
    from sentencepiece import sentencepiece_model_pb2

    protobuf: Any = sentencepiece_model_pb2  # generated code that type checkers cannot read
    rows = unigram_pieces(folder)
    model = protobuf.ModelProto()
    special = {t.content for t in folder.added_tokens if t.special}
    unknown = folder.whole["model"]["unk_id"]
    with_bytes = bool(folder.whole["model"].get("byte_fallback"))
    while rows and rows[-1][0] in special and len(rows) - 1 != unknown:
        rows.pop()
    for i, (piece, score) in enumerate(rows):
        kind = protobuf.ModelProto.SentencePiece.NORMAL
        if i == unknown:
            kind = protobuf.ModelProto.SentencePiece.UNKNOWN
        elif piece in special:
            kind = protobuf.ModelProto.SentencePiece.CONTROL
        elif with_bytes and piece in _byte_pieces():
            kind = protobuf.ModelProto.SentencePiece.BYTE
        model.pieces.add(piece=piece, score=score, type=kind)
    trainer = model.trainer_spec
    trainer.model_type, trainer.byte_fallback = trainer.UNIGRAM, with_bytes
    trainer.vocab_size, trainer.unk_id, trainer.bos_id = len(rows), unknown, -1
    trainer.unk_piece = rows[unknown][0]
    trainer.pad_piece = folder.name_of("pad_token", "<pad>")
    trainer.eos_piece = folder.name_of("eos_token", "</s>")
    model.normalizer_spec.precompiled_charsmap = _charsmap(folder)
    _check_spaces(folder)
    return bytes(model.SerializeToString())


def unigram_pieces(folder: TokenizerFolder) -> list[tuple[str, float]]:
    """(piece, score) by id.

    Raises:
      UserError: the file's model is no unigram model.
    """
    model = _section(folder, "model")
    _require(folder, "model", model.get("type"), "Unigram")
    try:
        rows = [(str(piece), float(score)) for piece, score in model["vocab"]]
        if type(model["unk_id"]) is not int or not 0 <= model["unk_id"] < len(rows):
            raise ValueError(f"unk_id is {model['unk_id']!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder, error) from error
    return rows


def wordpiece_pieces(folder: TokenizerFolder, beside: Sequence[str] = ()) -> list[str]:
    """BERT's pieces by id, those of `tokenizer.json`'s model.

    Args:
      beside: the pieces of a `vocab.txt`, where there is one. A line that stands there twice has one id in the model.

    Raises:
      UserError: it is of another kind, or its ids have gaps.
    """
    model = _section(folder, "model")
    # Files of old versions do not name the kind, which WordPiece alone tells by its prefix.
    kind = model.get("type", "WordPiece" if "continuing_subword_prefix" in model else None)
    _require(folder, "model", kind, "WordPiece")
    for key, value in (
        ("unk_token", "[UNK]"),
        ("continuing_subword_prefix", "##"),
        ("max_input_chars_per_word", 100),
    ):
        _require(folder, key, model.get(key, value), value)
    _require(folder, "pre_tokenizer", _section(folder, "pre_tokenizer").get("type"), "BertPreTokenizer")
    try:
        by_id = dict(enumerate(beside)) if len(set(beside)) < len(beside) else {}
        by_id |= {int(id): str(piece) for piece, id in model["vocab"].items()}
        return [by_id[i] for i in range(len(by_id))]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, f"no ids 0, 1, … in its vocabulary: {error!r}") from error


def bert_normalization(folder: TokenizerFolder) -> dict[str, Any]:
    """What `BertNormalizer` takes: the settings' word, or else that of `tokenizer.json`, or else BERT's own.

    Raises:
      UserError: another normalisation than BERT's.
    """
    found: Mapping[str, Any] = {}
    if folder.whole:
        found = _section(folder, "normalizer")
        _require(folder, "normalizer", found.get("type"), "BertNormalizer")
        _require(folder, "clean_text", found.get("clean_text", True), True)
    names = (("lowercase", "do_lower_case", True), ("strip_accents", "strip_accents", None))
    values = {ours: folder.settings.get(theirs, found.get(ours, default)) for ours, theirs, default in names}
    if values["lowercase"] is None:
        values["lowercase"] = True
    _require(
        folder,
        "tokenize_chinese_chars",
        folder.settings.get("tokenize_chinese_chars", found.get("handle_chinese_chars", True)),
        True,
    )
    return {name: value if value is None else bool(value) for name, value in values.items()}


def continues_without_space(folder: TokenizerFolder) -> bool:
    """Whether text after an added token begins without the piece of a space: where T5's was saved as not "legacy"."""
    return bool(_metaspace(folder).get("prepend_scheme") == "first")


def _charsmap(folder: TokenizerFolder) -> bytes:
    """How SentencePiece normalises, in its own binary form; white space is its own affair."""
    normalizer = folder.whole.get("normalizer")
    steps = normalizer.get("normalizers", [normalizer]) if isinstance(normalizer, dict) else []
    found = b""
    for i, step in enumerate(steps):
        kind = step.get("type") if isinstance(step, dict) else step
        if kind == "Precompiled" and i == 0:
            try:
                found = base64.b64decode(step["precompiled_charsmap"])
            except (KeyError, TypeError, ValueError) as error:
                raise _damaged(folder, error) from error
        elif not (kind == "Strip" or (kind == "Replace" and step.get("pattern") == {"Regex": " {2,}"})):
            _require(folder, "normalizer", kind, "SentencePiece's Precompiled")
    return found


def _check_spaces(folder: TokenizerFolder) -> None:
    """Raises: UserError: the file cuts text elsewhere than at spaces, or does not begin words with one."""
    before = _section(folder, "pre_tokenizer")
    parts = before.get("pretokenizers", [before])
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else part
        if kind not in ("WhitespaceSplit", "Metaspace"):
            _require(folder, "pre_tokenizer", kind, "Metaspace")
    found = _metaspace(folder)
    _require(folder, "the replacement of spaces", found.get("replacement", SPACE), SPACE)
    _require(folder, "add_prefix_space", found.get("add_prefix_space", True), True)
    allowed = "always" if len(parts) > 1 else "always or first"
    if found.get("prepend_scheme", "always") not in allowed.split(" or "):
        _require(folder, "prepend_scheme", found["prepend_scheme"], allowed)


def _metaspace(folder: TokenizerFolder) -> Mapping[str, Any]:
    """The part of the file that turns spaces into pieces; empty where there is none."""
    before = folder.whole.get("pre_tokenizer")
    parts = before.get("pretokenizers", [before]) if isinstance(before, dict) else []
    return next((p for p in parts if isinstance(p, dict) and p.get("type") == "Metaspace"), {})


def _byte_pieces() -> set[str]:
    return {f"<0x{i:02X}>" for i in range(_BYTE_PIECES)}


def _section(folder: TokenizerFolder, name: str) -> Mapping[str, Any]:
    value = folder.whole.get(name)
    if not isinstance(value, dict):
        raise _damaged(folder, f"{name} is {value!r}")
    return value


def _require(folder: TokenizerFolder, name: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise UserError(
            f"{folder.path / TOKENIZER_JSON}: {name} {found!r} is not supported, only {wanted!r}; take a checkpoint "
            "or a tokenizer of that kind"
        )


def _damaged(folder: TokenizerFolder, reason: object) -> UserError:
    return UserError(f"{folder.path / TOKENIZER_JSON}: damaged ({reason}); save the tokenizer anew")

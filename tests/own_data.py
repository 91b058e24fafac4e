"""Vocabularies and corpora of our own, small, in the files and formats of the real ones (shared_data.py).

All sentences were written for these tests. `{type … }` encloses an entity; words stand between single spaces.
"""

from __future__ import annotations

import re
from pathlib import Path

from toner_jax.data.corpora import generated
from toner_jax.data.corpora.schemas import BUILTIN
from toner_jax.pipeline.corpus import generator_corpus, matcher_corpus
from toner_jax.schema import Entity, Schema, Sentence, make_sentence
from toner_jax.text.linearize import linearize, sentence_items
from toner_jax.text.train_tokenizers import Corpus, train_sentencepiece, train_wordpiece

BIO, WNUT, CONLL = BUILTIN["jnlpba"], BUILTIN["wnut17"], BUILTIN["conll2003"]

# A document after a blank line.
ABSTRACTS = """\
Mild heat keeps {protein STAT 3} out of the nucleus of {cell_type human T cells} .
The {DNA IL-2 gene} was silent in resting {cell_type T cells} ( 0.5 % of all ) , but {protein NF-kappa B} bound it .
With 10-50 ng / ml of {protein interleukin-2} ( {protein IL-2} ) , {cell_line Jurkat cells} grew [ 12 , 13 ] .

An extract of {cell_line HL-60 cells} , free of {protein c-Fos} , still bound the {DNA AP-1 site} .
Neither {RNA GATA-1 mRNA} nor {protein GATA-1} was seen after 6 h at 39.5 °C .
We thank D. Müller , Zoë K. and 中村 for {cell_type blood monocytes} .

Two forms of {protein p38} ( {protein alpha} and {protein beta} ) act on the {DNA TNF-alpha promoter} .
"""

DEVELOPMENT = """\
Loss of the {DNA human PAX-5 locus} follows `` illegitimate '' joining .
{cell_line U937} and {cell_line K562 ( wild-type )} were left for 3-4 days .

No {protein kinase C} was needed .
{protein NF-kappa B} and {protein I kappa B-alpha} ( 1 : 1 ) leave {cell_type B cells} ; {protein NF-kappa B} returns .
"""

EVALUATION = """\
How many {protein glucocorticoid receptors} does a {cell_type lymphocyte} have ?
The {DNA IL-4 promoter ( -741 to +23 )} binds {protein NF-AT} in {cell_type Th2 cells} , not in {cell_type Th1 cells} .
( A ) {RNA IL-6 mRNA} ; ( B ) {RNA beta-globin mRNA} , half-life >= 2 h ; ( C ) none .
In {cell_line Raji} , {protein EBNA-2} raised {protein CD23} and {protein CD21} 5- to 10-fold .
Serum alone did nothing ( P < 0.05 ) .
{cell_type Naïve CD4+ T cells} from 8 donors ( 4 / 8 ) lost {protein CD62L} .
"""

NESTED = """\
The {DNA {protein IL-2} gene} needs {protein NF-kappa B} .
{protein {protein IL-2} receptor} and {DNA {protein {protein IL-2} receptor} gene} rise in {cell_type T cells} .
{DNA {DNA {protein GM-CSF} gene} promoter} activity fell in {cell_line {cell_type T cell} line Hut-78} .
{RNA {protein c - myc} mRNA} , {RNA {protein c - fos} mRNA} and {protein c - jun} were alike .
A {protein {protein NF-kappa B} ( p50 / p65 ) heterodimer} binds the {DNA kappa B site [ {DNA -100} ]} .
Nothing binds here .
{cell_type {cell_type Human} monocytes} , {cell_type monocytes} and {cell_line monocytes} differ .
The {DNA IL-2 gene} , unlike {protein IL-2} , is not free of {DNA {protein p53} sites} .
{protein p53} and p53 and {DNA {protein p53} gene} : which {protein p53} is meant ?
Of p21 and {protein p21} , only the second was {protein CDK inhibitor} .
"""

POSTS = """\
@bo_k off to {location Lake Vessa} w / {person Zoë Kvist} !!! #nofilter
so {corporation Brenno} just killed the {product Brenno One} ?? smh …
now playing : {creative-work Yes , No ( Maybe )} by {group The Glass Goats}
" {creative-work A Cold Tea} " is the worst film i ever saw , ½ a star
東京 tomorrow , {location Tarnholm ( south )} on friday ;-)
it's 7:30am and i'm still awake ...
{person Al} met {person Bo} , then {person Al} met {person Al}
{group Otter FC} 2 - 1 {group Marrow Utd} ( {location Pell Road} ) {person O'Dowd} 88'
RT @x_y: cafés in {location Orrby} > cafés in {location Malm-on-Sea} http://t.co/ab12
plzzz vote 4 {person jun kato} !!!!!!! hmmmm
"""

LATER_POSTS = """\
{person Kvist} says {location Orrby} won't flood <3
my {product Fizz-Cola 2} is flat ( again ) , thx {corporation Fizz & Sons}
no idea what day it is
{creative-work The Last Ferry} : 4 / 5 , {creative-work The Last Ferry 2} : 1 / 5
"""

LAST_POSTS = """\
saw {group The Glass Goats} at {location Pell Road} , “ {creative-work Low Tide} ” live !!
it's 7:30am and i'm still awake ...
{corporation Brenno} : {product Brenno Two} is out … {product Brenno One} is not
{person Dr. Lind} ( {location Tarnholm} ) on [ sleep ] : ' 8 hours '
they say {person Al} is {person Al Moss}
"""

# Documents of OntoNotes; those of pivot texts name nothing.
NEWS = {
    "nw/own/00/own_0001": """\
{GPE Tarnholm} and {ORG the Otter Bank} signed on {DATE 3 May 1998} .
Nothing else was said .
{PERSON O'Dowd} left {GPE Orrby} with {CARDINAL two} others ; {GPE Orrby} is {PERCENT 10 %} smaller .
""",
    "pt/own/00/own_0001": """\
In the beginning there was water .
And it was cold .
""",
    "bc/own/00/own_0001": """\
{PERSON Zoë Kvist} : {WORK_OF_ART Low Tide} , a film of {NORP Pellish} life !
""",
}

# What the vocabularies of the generator know besides ASCII.
_LETTERS = "éëïöüßαβ°…“”"


Span = tuple[int, int, str]  # its first word, the word after its last, its label


def annotated(text: str) -> list[list[tuple[list[str], list[Span]]]]:
    """The documents of a text above: the words and entities of their sentences, the outer entities first."""
    return [[_parse(line) for line in part.split("\n")] for part in text.strip().split("\n\n")]


def _parse(line: str) -> tuple[list[str], list[Span]]:
    words: list[str] = []
    spans: list[Span] = []
    begun: list[tuple[str, int]] = []
    for token in line.split(" "):
        if token.startswith("{"):
            begun.append((token[1:], len(words)))
            continue
        word = token.rstrip("}")
        words.append(word)
        for _ in token[len(word) :]:
            label, start = begun.pop()
            spans.append((start, len(words), label))
    assert not begun, line
    return words, sorted(spans, key=lambda span: (span[0], -span[1]))


def sentences(text: str, schema: Schema) -> list[Sentence]:
    """The sentences of a text above."""
    lines = [line for document in annotated(text) for line in document]
    return [
        make_sentence(str(i), words, [Entity(a, b, schema.resolve(label)) for a, b, label in spans], schema)
        for i, (words, spans) in enumerate(lines)
    ]


def columns(text: str, levels: int = 1, documents: bool = False) -> str:
    """A file of words and IOB2 tags, a column for each level of nesting."""
    rows = []
    for document in annotated(text):
        rows += ["-DOCSTART-\tO", ""] * documents
        for words, spans in document:
            tags = [["O"] * len(words) for _ in range(levels)]
            for a, b, label in spans:
                level = next(level for level in tags if set(level[a:b]) == {"O"})
                level[a:b] = [f"B-{label}"] + [f"I-{label}"] * (b - a - 1)
            rows += ["\t".join(row) for row in zip(words, *tags, strict=True)] + [""]
    return "\n".join(rows) + "\n"


def brat(document: list[tuple[list[str], list[Span]]]) -> tuple[str, str]:
    """A title and its abstract as people write them, and the annotations: `.txt` and `.ann`."""
    text, lines = "", []
    for i, (words, spans) in enumerate(document):
        text += "\n" if i == 1 else " " if i else ""
        ranges = []
        for k, word in enumerate(words):
            close = not k or word in ",.;:?)]%" or words[k - 1] in "(["
            text += "" if close else " "
            ranges.append((len(text), len(text) + len(word)))
            text += word
        for a, b, label in spans:
            start, end = ranges[a][0], ranges[b - 1][1]
            lines.append(f"T{len(lines) + 1}\t{label} {start} {end}\t{text[start:end]}\n")
    return text + "\n", "".join(lines)


def skeleton(name: str, text: str) -> str:
    """A document of CoNLL-2012 whose words are hidden."""
    lines = [f"#begin document ({name}); part 000"]
    for words, spans in annotated(text)[0]:
        cells = ["*"] * len(words)
        for a, b, label in spans:
            cells[a] = f"({label}" + cells[a]
            cells[b - 1] = cells[b - 1].replace("*", "") + ")" if b - a == 1 else cells[b - 1] + ")"
        rows = enumerate(cells)
        lines += [f"{name}   0   {i}   [WORD]   NN   *   -   -   -   -   {cell}   *   -" for i, cell in rows]
        lines.append("")
    return "\n".join([*lines, "#end document", ""])


def write(folder: Path) -> None:
    """All files, where a folder of real data has its own."""
    files = {
        "wnut17/wnut17train.conll": columns(POSTS),
        "wnut17/emerging.dev.conll": columns(LATER_POSTS),
        "wnut17/emerging.test.annotated": columns(LAST_POSTS),
        "jnlpba/devel.tsv": columns(DEVELOPMENT, documents=True),
        "jnlpba/Genia4EReval1.iob2": columns(EVALUATION),
        "genia_nested/genia.dev.iob2": columns(NESTED, levels=4),
    }
    for i, document in enumerate(annotated(ABSTRACTS), 90000001):
        for ending, content in zip(("txt", "ann"), brat(document), strict=True):
            files[f"jnlpba/brat_train/{i}.{ending}"] = content
    files |= {f"ontonotes_skeleton/{name}.gold_skel": skeleton(name, text) for name, text in NEWS.items()}
    for name, content in files.items():
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    _train(folder)


def _train(folder: Path) -> None:
    """The generator's vocabulary is T5's in kind: it has read much, targets too, but no `[(`, `[]` or `)]`."""
    bio = [s for text in (ABSTRACTS, DEVELOPMENT, EVALUATION, NESTED) for s in sentences(text, BIO)]
    posts = [s for text in (POSTS, LATER_POSTS, LAST_POSTS) for s in sentences(text, WNUT)]
    made = generated.generate(0, {"train": 300})["train"]
    parts = [(made, generated.SCHEMA), (bio * 5, BIO), (posts * 5, WNUT), (posts, CONLL)]
    learned = [generator_corpus(part, schema) for part, schema in parts]
    lines = [re.sub(r"\[\(|\[\]", "x", line) for corpus in learned for line in corpus.lines]
    lines += [linearize(sentence_items(s))[2:-1] for s in (*bio, *posts) if s.entities for _ in range(5)]
    letters = "".join(sorted({*_LETTERS, *(c for corpus in learned for c in corpus.required)}))
    train_sentencepiece(folder / "t5_vocab", Corpus(lines, letters), 1500)
    lines = [line for part, schema in parts for line in matcher_corpus(part, schema).lines]
    train_wordpiece(folder / "bert_vocab", Corpus(lines), 2000)

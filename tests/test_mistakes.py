"""Plausible mistakes on the command line: each is one line that says what to do, and exit status 2."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from toner_jax import config
from toner_jax.commands.app import main
from toner_jax.runs import config_files
from toner_jax.runs.config_files import FORMAT_VERSION
from toner_jax.runs.marker import digest_of

COMMANDS = (
    "train, predict, serve, evaluate, compare, runs, ablate, sweep, reproduce, explain, stats, schema, convert, "
    "compile, bench"
)
CONFIGS = "ace2004, ace2005, conll2003, custom, jnlpba, ontonotes, quickstart, wnut17, or a file of your own"
VALUE = "flags are written --name=value, see toner-jax train --help"
KEYS = "toner-jax train --keys lists them"
CUSTOM = (
    "Put the train, dev and test files into one folder; pass --config.data.dir=FOLDER, --config.data.format=FORMAT and"
    ", to describe the types, --config.data.schema=SCHEMA.json (README, 'Your own data')"
)
FORMATS = (
    "auto, csv, columns, json, label_studio, doccano, jsonl, docbin, ontonotes, ace, brat, hub, generated"
)

MISTAKES = {
    # The command.
    "": f"name a command: {COMMANDS}; see toner-jax --help",
    "trian --config=quickstart": f"'trian' is no command; did you mean train?; there are {COMMANDS}",
    "--config=quickstart train": "--config=quickstart: flags follow the command: toner-jax train --config=quickstart …",
    "--verbose": f"unknown flag --verbose; name a command first: {COMMANDS}",
    "configs/quickstart.py": f"'configs/quickstart.py' is no command; there are {COMMANDS}",
    # Flags of train.
    "train": "--config is missing; see toner-jax train --help",
    "train --conifg=quickstart": "unknown flag --conifg; did you mean --config?; see toner-jax train --help",
    "train --config": "--config: expected a value; see toner-jax train --help",
    "train --config=": "--config: expected a value, and this one is empty; see toner-jax train --help",
    "train quickstart.py": f"unexpected argument 'quickstart.py'; {VALUE}",
    "train --config=quickstart quickly": f"unexpected argument 'quickly'; {VALUE}",
    "train --config=quickstart seed=1": f"unexpected argument 'seed=1'; {VALUE}",
    "train --config=quickstart --seed=1": (
        "unknown flag --seed; a key of the configuration is set with --config.KEY=VALUE; see toner-jax train --help"
    ),
    "train --config=quickstart --workdir=": (
        "--workdir: expected a value, and this one is empty; see toner-jax train --help"
    ),
    "train --config=quickstart --work_dir=w": (
        "unknown flag --work_dir; did you mean --workdir?; see toner-jax train --help"
    ),
    "train --config=quickstart --dry-run": (
        "unknown flag --dry-run; did you mean --dry_run?; see toner-jax train --help"
    ),
    "train --config=quickstart --dry_run=yes": "--dry_run: takes no value, not 'yes'; see toner-jax train --help",
    # Other commands.
    "compare": "A is missing; see toner-jax compare --help",
    "compare one": "B is missing; see toner-jax compare --help",
    "compare one two": (
        "one: no such folder; name the work directory of a finished run, or an output of evaluate"
    ),
    "compare one two --examples=-1": "--examples: must be 0 or more, not -1; see toner-jax compare --help",
    "predict --model=quickstart --revision=": (
        "--revision: expected a value, and this one is empty; see toner-jax predict --help"
    ),
    "convert --from=quickstart": "give one of --to and --push_to_hub; see toner-jax convert --help",
    "convert --from=quickstart --push_to_hub=names": "names: name a model of the hub as user/model",
    "runs": "FOLDER is missing; see toner-jax runs --help",
    "runs nowhere": "nowhere: no such folder",
    # The configuration.
    "train --config=quickstrat": (
        f"--config=quickstrat: no configuration 'quickstrat'; did you mean quickstart?; there are {CONFIGS}"
    ),
    "train --config=ontonotes.xl": (
        f"--config=ontonotes.xl: no configuration 'ontonotes.xl'; did you mean ontonotes?; there are {CONFIGS}"
    ),
    "train --config=missing.py": f"--config=missing.py: no such file missing.py; there are {CONFIGS}",
    "train --config=ships.txt": f"--config=ships.txt: no configuration 'ships.txt'; there are {CONFIGS}",
    "train --config=ontonotes:xll": "config variant 'xll': choose among small, base, large, xl, xxl, scratch, exp, "
    "paper, authors",
    "train --config=ontonotes:xl,base": "config variants 'xl' and 'base': each chooses the models; keep one",
    "train --config=quickstart:xl": "config variant 'xl': this configuration has none",
    "train --config=syntax.py": "syntax.py:1: SyntaxError: invalid syntax",
    "train --config=name.py": "name.py:2: NameError: name 'bose' is not defined",
    "train --config=nothing.py": "nothing.py: defines no function get_config, as those of configs/ do",
    "train --config=dict.py": "dict.py: get_config returns dict, not what toner_jax.config.base() returns",
    "train --config=typo.py": (
        'typo.py:6: AttributeError: Key "epoch" does not exist and cannot be added since the config is locked'
    ),
    # Its keys.
    "train --config=quickstart --config.=3": "--config.=3: expected a key, as --config.KEY=VALUE",
    "train --config=quickstart --config.generator.epoch=3": (
        f"generator.epoch: no such configuration key; did you mean generator.epochs?; {KEYS}"
    ),
    "train --config=quickstart --config.epochs=3": (
        f"epochs: no such configuration key; did you mean generator.epochs or matcher.epochs?; {KEYS}"
    ),
    "train --config=quickstart --config.colour=red": f"colour: no such configuration key; {KEYS}",
    "train --config=quickstart --config.mesh=2": (
        "--config.mesh=2: a section; set one of its keys: mesh.data, mesh.fsdp, mesh.tensor"
    ),
    "train --config=quickstart --config.generator.batch_size=three": (
        "--config.generator.batch_size=three: expected a whole number"
    ),
    "train --config=quickstart --config.generator.batch_size=1.5": (
        "--config.generator.batch_size=1.5: expected a whole number"
    ),
    "train --config=quickstart --config.generator.batch_size=": (
        "--config.generator.batch_size=: expected a whole number"
    ),
    "train --config=quickstart --config.generator.epochs=three": "--config.generator.epochs=three: expected a number",
    "train --config=quickstart --config.generator.epochs=nan": "--config.generator.epochs=nan: expected a number",
    "train --config=quickstart --config.decode.grammar=maybe": "--config.decode.grammar=maybe: expected true or false",
    "train --config=quickstart --config.decode.grammar": (
        "--config.decode.grammar: expected a value, as --config.decode.grammar=VALUE"
    ),
    "train --config=quickstart --config.stages='(matcher'": (
        """--config.stages=(matcher: expected a tuple, as --config.stages="('a', 'b')\""""
    ),
    "train --config=quickstart --config.stages=training": (
        "stages: 'training' is none of matcher, generator, evaluate"
    ),
    "train --config=quickstart --config.seed=-1": "--config.seed=-1: must lie between 0 and 2**32 - 1",
    "train --config=quickstart --config.seed -1": "--config.seed=-1: must lie between 0 and 2**32 - 1",
    "train --config=quickstart --config.dtype=float16": (
        "--config.dtype='float16': choose one of auto, float32, bfloat16; fp16 overflows in T5's feed-forward layers"
    ),
    "train --config=quickstart --config.generator.batch_size=0": "--config.generator.batch_size=0: must be above 0",
    "train --config=quickstart --config.matcher.warmup=2": "--config.matcher.warmup=2.0: must lie between 0 and 1",
    "train --config=quickstart --config.decode.beam_size=4": (
        "--config.decode.beam_size=4: beams are for free decoding; set --config.decode.grammar=False"
    ),
    "train --config=quickstart --config.sharding=fsdb": (
        "--config.sharding='fsdb': choose one of auto, replicated, zero1, fsdp, tensor"
    ),
    # Data.
    "train --config=custom:scratch": f"data.dir is empty: it names the folder that holds custom. {CUSTOM}",
    "train --config=custom:scratch --config.data.dir=nowhere": (
        f"nowhere: no such folder (data.dir). {CUSTOM}"
    ),
    "train --config=custom:scratch --config.data.dir=empty": (
        "empty: no file train with .txt or .conll or .tsv or .iob2 or .iob or .bio or .bmes or .conllu (data.train). "
        f"{CUSTOM}"
    ),
    "train --config=custom:scratch --config.data.dir=broken": (
        "broken/train.txt:2: 3 columns where line 1 has 2; give every line the same columns"
    ),
    "train --config=custom:scratch --config.data.dir=data --config.data.format=jsonlines": (
        f"--config.data.format='jsonlines': expected one of {FORMATS}"
    ),
    "train --config=custom:scratch --config.data.dir=data --config.data.token_column=7": (
        "data/train.txt:1: 2 columns, but the token is expected in column 7"
    ),
    "train --config=quickstart --config.data.language=English": (
        "--config.data.language=English: must be a code such as en or de"
    ),
    # predict
    "predict --model=run --input=texts.txt --threshold=2": "--threshold=2.0: a score lies between 0 and 1",
    "predict --model=run --input=texts.txt --type_threshold=-3": (
        "--type_threshold=-3.0: a cosine lies between -1 and 1"
    ),
    "predict --model=run": "--input is missing; see toner-jax predict --help",
    "predict --modle=run --input=texts.txt": (
        "unknown flag --modle; did you mean --model?; see toner-jax predict --help"
    ),
    "predict --model=run --input=texts.txt --batch=0": (
        "--batch: must be at least 1, not 0; see toner-jax predict --help"
    ),
    "predict --model=run --input=texts.txt --batch=many": (
        "--batch: expected a whole number, not 'many'; see toner-jax predict --help"
    ),
    "predict --model=empty --input=texts.txt": (
        "empty: no config.json; a model is the work directory of a run, or a folder of save_pretrained"
    ),
    "predict --model=run --input=missing.txt": "missing.txt: cannot be opened (No such file or directory)",
    "predict --model=run --input=texts.txt --output=texts.txt": (
        "texts.txt: is the input, too; give the output another file"
    ),
    "predict --model=run --input=empty": "empty: cannot be opened (Is a directory)",
    "predict --model=other --input=texts.txt": (
        'other/config.json: not a configuration of this version (Key "colour" does not exist and cannot be added since '
        "the config is locked)"
    ),
    "predict --model=edited --input=texts.txt": (
        "edited/config.json: other contents than were written; start the run again with its own settings, which writes "
        "it anew (other settings are given to the run, not edited here)"
    ),
    # evaluate
    "evaluate --workdir=missing": "missing: no such folder; a model is the work directory of a run, or a folder of "
    "save_pretrained",
    "evaluate --workdir=run --split=tests": (
        "--split: 'tests' is none of train, dev, test; see toner-jax evaluate --help"
    ),
    "evaluate --workdir=run --step=last": (
        "--step: expected a whole number, not 'last'; see toner-jax evaluate --help"
    ),
    "evaluate --workdir=run --config.decode.max_lenght=9": (
        f"decode.max_lenght: no such configuration key; did you mean decode.max_length?; {KEYS}"
    ),
    "evaluate --workdir=run --config.generator.epochs=3": (
        "generator.epochs: fixed by training; decode.*, text.*, mesh.*, sharding and dtype can be changed"
    ),
    # The others.
    "stats --config=quickstart --splits=exam": "split 'exam': expected one of train, dev, test",
    "stats --config=quickstart --picture=x.gif": (
        "--picture: 'x.gif' is no .svg or .png file; see toner-jax stats --help"
    ),
    "schema --input=missing.txt --output=s.json": "missing.txt: no such file or folder",
    "schema --input=ships.txt --output=ships.txt": "ships.txt: exists; give the schema a new file",
    "schema --input=notes.jsonl --output=s.json": "notes.jsonl:2: not JSON (Expecting value at column 1)",
    "convert --from=run --to=new --dtype=float16": (
        "--dtype: 'float16' is none of float32, bfloat16; see toner-jax convert --help"
    ),
    "convert --from=run --to=data": "data: not an empty folder; choose another target",
    "bench": "name a benchmark: train, epoch, match, decode, growth, data, tokenize, serve; see toner-jax bench --help",
    "bench --model=run decode": "--model=run: flags follow the benchmark: toner-jax bench decode --model=run …",
    "bench decode --model=run --rounds=0": "--requests and --rounds are at least 1, --sentences at least 0",
    "bench data --tokenizer=missing": (
        "missing/spiece.model: no such tokenizer file; a tokenizer folder holds spiece.model or "
        "tokenizer.json"
    ),
}

OTHER = {"format_version": FORMAT_VERSION, "colour": "red"}
BASE = "from toner_jax import config as base\n\n\ndef get_config():\n    c = base.base()\n"
FILES = {
    "ships.txt": "Ajax B-SHIP\nsank O\n",
    "texts.txt": "Ajax sank.\n",
    "notes.jsonl": '{"text": "a", "entities": []}\nnot json\n',
    "syntax.py": "def get_config(:\n",
    "name.py": "def get_config():\n    return bose.base()\n",
    "nothing.py": "x = 1\n",
    "dict.py": "def get_config():\n    return {}\n",
    "typo.py": f"{BASE}    c.generator.epoch = 3\n    return c\n",
    "other/config.json": json.dumps(OTHER | {"digest": digest_of(OTHER)}),
    "edited/config.json": json.dumps(OTHER | {"digest": digest_of(OTHER), "seed": 1}),
    **{f"broken/{split}.txt": "Rain\tO\nfell\tB-PER\textra\n" for split in ("train", "dev", "test")},
    **{f"data/{split}.txt": f"{split}\tO\n\nLima\tB-LOC\n" for split in ("train", "dev", "test")},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mistakes")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    (folder / "empty").mkdir()
    (folder / "run").mkdir()
    config_files.save(config.base(), folder / "run" / "config.json")
    return folder


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line(line, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(os, "environ", os.environ.copy())  # bench limits its threads through it
    before = set(folder.rglob("*"))
    assert main(shlex.split(line)) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"toner-jax: {MISTAKES[line]}\n")
    assert {p for p in folder.rglob("*") if not _compiled(p)} <= before  # nothing was begun


def _compiled(path: Path) -> bool:
    return "__pycache__" in path.parts


def test_there_are_enough_of_them():
    assert len(MISTAKES) >= 60

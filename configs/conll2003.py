"""CoNLL-2003 (Tjong Kim Sang and De Meulder 2003), the authors' settings."""

from toner_jax import config as base


def get_config(arg=None):
    chosen = base.variants(arg, base.VARIANTS)
    c = base.base()
    c.data.name = "conll2003"
    c.data.format = "auto"
    c.data.train = "eng.train,train.txt,train.conll,train.json,train.jsonl"
    c.data.dev = (
        "eng.testa,valid.txt,dev.txt,valid.conll,testa.conll,dev.json,valid.json,dev.jsonl,valid.jsonl"
    )
    c.data.test = "eng.testb,test.txt,test.conll,test.json,test.jsonl"
    c.data.source = (
        "CoNLL-2003 comes from the shared task, built on the Reuters corpus; put eng.train, eng.testa and "
        "eng.testb (columns, IOB1 or IOB2) or preprocessed JSON (train.json, dev.json, test.json) into one "
        "folder and pass --config.data.dir=FOLDER"
    )
    c.matcher.type_threshold = 0.95 if base.AUTHORS in chosen else 0.8
    base.apply_variants(c, chosen)
    return c

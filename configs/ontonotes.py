"""OntoNotes 5.0, English (Hovy et al. 2006), the authors' settings."""

from toner_jax import config as base


def get_config(arg=None):
    chosen = base.variants(arg, base.VARIANTS)
    c = base.base()
    c.data.name = "ontonotes"
    c.data.format = "auto"
    c.data.train = "train.conll,train.txt,onto.train.ner,train.json,train.jsonl,train.id"
    c.data.dev = (
        "development.conll,dev.conll,dev.txt,onto.development.ner,dev.json,dev.jsonl,"
        "valid.json,valid.jsonl,development.id,dev.id"
    )
    c.data.test = "test.conll,test.txt,onto.test.ner,test.json,test.jsonl,test.id"
    c.data.source = (
        "OntoNotes 5.0 is distributed by the LDC (LDC2013T19): give the folder of its CoNLL-2012 files "
        "(*gold_conll below train, development and test), the release itself with the shared task's lists "
        "train.id, development.id and test.id, or train, development and test as IOB2 columns "
        "(train.conll) or preprocessed JSON (train.json); pass --config.data.dir=FOLDER"
    )
    c.matcher.type_threshold = 0.6
    base.apply_variants(c, chosen)
    return c

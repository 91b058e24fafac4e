"""OntoNotes 5.0, English (Hovy et al. 2006), the authors' settings."""

from toner_jax import config as base


def get_config(arg=None):
    chosen = base.variants(arg, base.VARIANTS)
    c = base.base()
    c.data.name = "ontonotes"
    c.data.train = "train.conll,train.txt,onto.train.ner"
    c.data.dev = "development.conll,dev.conll,dev.txt,onto.development.ner"
    c.data.test = "test.conll,test.txt,onto.test.ner"
    c.data.source = (
        "OntoNotes 5.0 is distributed by the LDC (LDC2013T19); put its CoNLL-2012 splits as IOB2 "
        "columns (word first, tag last) into train.conll, development.conll and test.conll and pass"
        " --config.data.dir=FOLDER"
    )
    c.matcher.threshold = 0.6
    base.apply_variants(c, chosen)
    return c

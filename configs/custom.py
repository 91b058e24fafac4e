"""Your own data: IOB1 or IOB2 columns, and a schema that names and describes your types."""

from toner_jax import config as base


def get_config(arg=None):
    chosen = base.variants(arg, base.VARIANTS)
    c = base.base()
    c.data.name = "custom"
    c.data.train = "train.txt,train.conll,train.tsv,train.iob2"
    c.data.dev = "dev.txt,dev.conll,dev.tsv,dev.iob2"
    c.data.test = "test.txt,test.conll,test.tsv,test.iob2"
    c.data.source = (
        "Put train, dev and test files (a word and its tag a line, blank lines between sentences) "
        "into one folder; pass --config.data.dir=FOLDER and --config.data.schema=SCHEMA.json "
        "(README, 'Your own data')"
    )
    c.matcher.threshold = 0.0
    base.apply_variants(c, chosen)
    return c

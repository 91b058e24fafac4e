"""ACE 2005, nested entities, the authors' settings."""

from toner_jax import config as base


def get_config(arg=None):
    chosen = base.variants(arg, base.VARIANTS)
    c = base.base()
    c.data.name = "ace2005"
    c.data.train = "train.iob2,train.txt"
    c.data.dev = "dev.iob2,dev.txt"
    c.data.test = "test.iob2,test.txt"
    c.data.tag_columns = ()  # a tag column for each nesting level
    c.data.source = (
        "ACE 2005 is distributed by the LDC (LDC2006T06); put its splits as nested IOB2 columns "
        "(word first, then one column for each level) into train.iob2, dev.iob2 and test.iob2 and "
        "pass --config.data.dir=FOLDER"
    )
    c.matcher.threshold = 0.6
    base.apply_variants(c, chosen)
    return c

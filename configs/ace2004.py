"""ACE 2004, nested entities, the authors' settings."""

from toner_jax import config as base


def get_config(arg=None):
    chosen = base.variants(arg, base.VARIANTS)
    c = base.base()
    c.data.name = "ace2004"
    c.data.format = "auto"
    c.data.train = "train.iob2,train.txt,train.json,train.jsonl,train.jsonlines,mrc-ner.train,train.id,train"
    c.data.dev = "dev.iob2,dev.txt,dev.json,dev.jsonl,dev.jsonlines,mrc-ner.dev,dev.id,dev"
    c.data.test = "test.iob2,test.txt,test.json,test.jsonl,test.jsonlines,mrc-ner.test,test.id,test"
    c.data.tag_columns = ()  # a tag column for each nesting level
    c.data.source = (
        "ACE 2004 is distributed by the LDC (LDC2005T09): .sgm and .apf.xml files anywhere in one folder, with the "
        "lists of document ids train.id, dev.id and test.id of a published split; or put train, dev and test "
        "as nested IOB2 columns (train.iob2) or preprocessed JSON (train.json) into it; pass "
        "--config.data.dir=FOLDER"
    )
    c.matcher.type_threshold = 0.6
    base.apply_variants(c, chosen)
    return c

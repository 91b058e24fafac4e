"""WNUT-17 emerging entities (Derczynski et al. 2017), with the authors' settings for news."""

from toner_jax import config as base


def get_config(arg=None):
    chosen = base.variants(arg, base.VARIANTS)
    c = base.base()
    c.data.name = "wnut17"
    c.data.format = "auto"
    c.data.train = "wnut17train.conll,train.json,train.jsonl"
    c.data.dev = "emerging.dev.conll,dev.json,valid.json,dev.jsonl,valid.jsonl"
    c.data.test = "emerging.test.annotated,test.json,test.jsonl"
    c.data.source = (
        "WNUT-17 comes from the shared task of the Workshop on Noisy User-generated Text; put "
        "wnut17train.conll, emerging.dev.conll and emerging.test.annotated into one folder and pass"
        " --config.data.dir=FOLDER"
    )
    c.matcher.type_threshold = "dev"
    base.apply_variants(c, chosen)
    return c

"""Your own data, in any form of README's 'Your own data', and a schema that names and describes your types."""

from toner_jax import config as base


def get_config(arg=None):
    chosen = base.variants(arg, base.VARIANTS)
    c = base.base()
    c.data.name = "custom"
    c.data.source = (
        "Put the train, dev and test files into one folder; pass --config.data.dir=FOLDER, "
        "--config.data.format=FORMAT and, to describe the types, --config.data.schema=SCHEMA.json "
        "(README, 'Your own data')"
    )
    c.matcher.type_threshold = "dev"
    base.apply_variants(c, chosen)
    return c

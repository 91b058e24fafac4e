"""JNLPBA (Collier et al. 2004), the authors' settings."""

from toner_jax import config as base


def get_config(arg=None):
    chosen = base.variants(arg, base.VARIANTS)
    c = base.base()
    c.data.name = "jnlpba"
    c.data.train = "train.tsv,Genia4ERtask1.iob2"
    c.data.dev = "devel.tsv,dev.tsv"
    c.data.test = "test.tsv,Genia4EReval1.iob2"
    c.data.source = (
        "JNLPBA comes from the GENIA project; put Genia4ERtask1.iob2 (less the abstracts kept for "
        "dev, as train.tsv), devel.tsv and Genia4EReval1.iob2 into one folder and pass "
        "--config.data.dir=FOLDER"
    )
    c.matcher.threshold = 0.7
    base.apply_variants(c, chosen)
    return c

"""JNLPBA (Collier et al. 2004), the authors' settings."""

from toner_jax import config as base


def get_config(arg=None):
    chosen = base.variants(arg, base.VARIANTS)
    c = base.base()
    c.data.name = "jnlpba"
    c.data.format = "auto"
    c.data.train = "train.tsv,Genia4ERtask1.iob2,train.json,brat_train"
    c.data.dev = "devel.tsv,dev.tsv,dev.json"
    c.data.test = "test.tsv,Genia4EReval1.iob2,test.json"
    c.data.carve_dev = 200  # there is no official development set
    c.data.source = (
        "JNLPBA comes from the GENIA project: put Genia4ERtask1.iob2 (or its abstracts as brat files, in "
        "brat_train) and Genia4EReval1.iob2 into one folder; 200 training abstracts become dev; copies that "
        "name no abstracts need train.tsv, devel.tsv and test.tsv; pass --config.data.dir=FOLDER"
    )
    c.matcher.type_threshold = 0.7
    base.apply_variants(c, chosen)
    return c

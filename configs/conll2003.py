"""CoNLL-2003 (Tjong Kim Sang and De Meulder 2003), the authors' settings."""

from toner_jax import config as base


def get_config(arg=None):
    chosen = base.variants(arg, base.VARIANTS)
    c = base.base()
    c.data.name = "conll2003"
    c.data.train = "eng.train,train.txt,train.conll"
    c.data.dev = "eng.testa,valid.txt,dev.txt,valid.conll,testa.conll"
    c.data.test = "eng.testb,test.txt,test.conll"
    c.data.source = (
        "CoNLL-2003 (four columns, IOB1 or IOB2) comes from the shared task, built on the Reuters "
        "corpus; put eng.train, eng.testa and eng.testb into one folder and pass "
        "--config.data.dir=FOLDER"
    )
    c.matcher.threshold = 0.8
    base.apply_variants(c, chosen)
    return c

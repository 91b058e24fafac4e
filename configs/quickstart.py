"""Both models from random weights on generated text, in minutes on two cores."""

from toner_jax import config as base


def get_config(arg=None):
    base.variants(arg, ())
    c = base.base()
    base.set_scratch(c)
    c.data.name = "generated"
    c.data.format = "generated"
    c.data.generated.train = 36_000
    c.tokenizer.generator_vocab_size = 1_500
    c.matcher.epochs = 0.5
    c.matcher.batch_size = 64
    c.matcher.dropout = 0.0
    c.generator.batch_size = 12
    c.generator.epochs = 1.0
    c.generator.type_recognition = 0.1
    c.generator.dropout = 0.0
    c.matcher.max_shapes = 3
    c.generator.max_shapes = 6
    c.eval.every = 500
    c.eval.start = 0.4
    c.eval.dev_max_sentences = 300
    return c

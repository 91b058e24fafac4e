"""The one base configuration: every key, its default and its meaning.

Files under `configs/` call `base()` and state only their differences. The result is locked, so an
unknown key is an error wherever it is set, and nothing in the package asks for a key with a default.
"""

from __future__ import annotations

from collections.abc import Sequence

from ml_collections import ConfigDict, FieldReference

from toner_jax.errors import UserError


def base() -> ConfigDict:
    """The authors' settings (the paper's Table 2 and §4.3) for Flan-T5-large and GTE-large."""
    c = ConfigDict()
    c.seed = 0  # of weights, dropout, and the order of samples
    c.stages = ("matcher", "generator", "evaluate")  # what a run does; what is complete is skipped
    # what draws dropout's masks: threefry, the same on every mesh; or rbg, the device's own generator, which draws
    # other masks on another mesh, kind of device or version of JAX
    c.dropout_prng = "threefry"
    c.dtype = "auto"  # compute dtype: float32, bfloat16, or auto: bfloat16 on accelerators

    c.data = ConfigDict()
    c.data.name = ""
    # A built-in schema or a JSON/YAML file; "" for the one called data.name, or else from the labels of all splits.
    c.data.schema = ""
    # columns, csv, json (benchmarks' shapes), jsonl, brat, docbin, label_studio, doccano, ontonotes, ace, hub,
    # generated; or auto: each split by what its files hold.
    c.data.format = "columns"
    c.data.dir = ""  # the folder of the splits' files; hub: an id, or a folder of save_to_disk
    c.data.train = ""  # names within data.dir; of several, the first that exists; "" for usual names
    c.data.dev = ""
    c.data.test = ""
    c.data.token_column = 0
    c.data.tag_columns = (-1,)  # one column per nesting level; () for all but the first
    # Where the prefix of a tag stands: "first" (B-PER), "last" (PER-B), "none" (PER); auto: as the tags of a file tell.
    c.data.tag_prefix = "auto"
    # Of tags that are numbers: their names from 0 on, or a file of them; () for one beside the data, as label.json.
    c.data.tag_names = ()
    # The names of the columns of words, of tags (csv, hub; csv: and of sentences), or of the text and of the labels
    # (label_studio).
    c.data.columns = ()
    c.data.pretokenized = False  # texts of jsonl, brat, …: a sentence a line, white space around words
    # Where entities of raw text may begin and end: at "words", or at "atoms", which are runs of letters, of digits, …
    c.data.edges = "auto"  # auto: atoms where the training data are raw text; words where they came as words
    c.data.language = "en"  # of raw text: a code, for the abbreviations that end no sentence
    c.data.split_sentences = (
        True  # of raw text: False takes each text as one sentence, read in windows if it is long
    )
    c.data.discontinuous = "refuse"  # brat: what becomes of entities in pieces: refuse, join, or skip
    # docbin: what holds the entities, "ents" or a key of the span groups; "": a doc's ents, or its "sc" if it has none.
    c.data.span_group = ""
    c.data.subset = ""  # hub: the configuration, of a set with several
    c.data.revision = ""  # hub: a branch, tag or commit
    c.data.genres = ()  # OntoNotes: the genres to keep (bc, bn, mz, nw, pt, tc, wb); () for all
    c.data.exclude_genres = ("pt",)  # OntoNotes: and those to leave out; nobody annotated pt with entities
    c.data.carve_dev = 0  # > 0: where train's documents have ids, so many of them are dev, not data.dev
    # Shares of train, dev and test, such as (0.8, 0.1, 0.1), into which train is split, by document where it has any;
    # a split of share 0 has its own file, as all have with ().
    c.data.carve_shares = ()
    c.data.carve_seed = (
        0  # what carve_dev and carve_shares choose, by ids and texts alone; `seed` does not matter
    )
    # > 0: so many sentences of train are used, of whole documents where it has any, drawn with carve_seed.
    c.data.train_sentences = 0
    c.data.cache = (
        True  # keep what was read in ~/.cache/toner_jax ($XDG_CACHE_HOME); False (--no-cache) reads anew
    )
    c.data.source = ""  # which data to bring, and from where: shown when they are missing
    # The generated data: of 6 types, or with `fine` of 20.
    c.data.generated = ConfigDict({"seed": 0, "train": 24_000, "dev": 500, "test": 1_000, "fine": False})

    c.tokenizer = ConfigDict()
    c.tokenizer.backend = (
        "auto"  # tf_text (TensorFlow Text), hf (transformers), or auto: the first that is here
    )
    # What the generator's ids are made of: "atoms", so that raw text and words read alike, or "words", as joint
    # tokenization makes them, for comparison with the paper's own setting on data that come as words.
    c.tokenizer.ids = "atoms"
    # Folder or hub id, with spiece.model (matcher: vocab.txt) or tokenizer.json; "" for the checkpoint's own.
    c.tokenizer.generator = ""
    c.tokenizer.matcher = ""
    c.tokenizer.generator_vocab_size = 2_000  # of tokenizers trained for runs without a checkpoint
    c.tokenizer.matcher_vocab_size = 2_000

    c.text = ConfigDict()
    c.text.max_source = 512  # pieces, end of sequence included; longer inputs are split, never cut
    c.text.max_target = 512
    c.text.window_overlap = 16  # words that neighbouring windows of a long input share

    c.matcher = ConfigDict()
    c.matcher.enabled = True  # False leaves the T′ line out of every prompt
    c.matcher.checkpoint = "thenlper/gte-large"  # folder or hub id; "" starts from random weights
    c.matcher.model = ConfigDict()  # the architecture of a run without a checkpoint
    c.matcher.model.hidden_size = 128
    c.matcher.model.num_hidden_layers = 2
    c.matcher.model.num_attention_heads = 4
    c.matcher.model.intermediate_size = 256
    c.matcher.dropout = 0.1
    c.matcher.tau = 0.05  # τ of Eq. 4
    c.matcher.null_logit = False  # add e^{δ/τ} to Eq. 4's denominator: sentences without types train too
    c.matcher.null_cosine = 0.5  # that δ
    # δ of training: a type is in T′ when its cosine is above it; or "dev": the value with the highest type F-β on dev.
    c.matcher.type_threshold = 0.6
    c.matcher.type_threshold_beta = 1.0  # that β
    c.matcher.batch_size = 32
    c.matcher.epochs = 1.0
    c.matcher.learning_rate = 8e-6
    c.matcher.weight_decay = 1e-3
    c.matcher.warmup = 0.1
    c.matcher.clip_norm = 1.0
    c.matcher.microbatches = 1  # as generator.microbatches
    c.matcher.remat = "auto"  # as generator.remat
    c.matcher.scan_layers = False  # as generator.scan_layers
    c.matcher.max_shapes = 8  # padded lengths that training compiles for

    # T′ in the prompts of training and of evaluation: of the "matcher"; "gold", what does occur; "random", with
    # the matcher's error rates; "none", prompts without it; or of a file of T′ or another run, by path.
    c.types = ConfigDict()
    # Of training also "cross_fitted": of models that never saw the sentence, trained on the other folds of train.
    c.types.training = "matcher"
    c.types.top_k = 0  # at most so many of those above δ, the most similar; 0 for all
    c.types.folds = 5  # so many parts of whole documents; each is matched by a model of its own
    c.types.evaluation = "matcher"  # in the reports, and on dev when the generator's step is chosen

    c.generator = ConfigDict()
    c.generator.checkpoint = "google/flan-t5-large"  # folder or hub id; "" starts from random weights
    c.generator.model = ConfigDict()  # the architecture of a run without a checkpoint
    c.generator.model.d_model = 128
    c.generator.model.d_kv = 32
    c.generator.model.d_ff = 256
    c.generator.model.num_layers = 2
    c.generator.model.num_decoder_layers = 2
    c.generator.model.num_heads = 4
    c.generator.model.init = "copy"  # copy: starts able to copy (models/t5/copy_init.py); or t5
    c.generator.dropout = 0.1
    c.generator.lambda_c = 0.1  # λ of Eq. 6
    c.generator.pool = "text"  # h(x) is the mean over the text's tokens, or the whole "prompt"'s
    c.generator.type_recognition = 0.5  # share of sentences that also train the task of §3.4, each epoch
    c.generator.type_recognition_once = False  # those are drawn once, before training, not each epoch
    c.generator.prompts = "paper"  # their words: as the paper prints them, or as the "authors"' code has them
    c.generator.unique_pairs = False  # targets name each (type, string) once, or each mention of it
    # Explanations to train with (§3.5), by the id of a sentence of train: JSON lines of {"id", "explanation"}; "data",
    # those that the data bring; or "template", made of the types' descriptions; "" trains without.
    c.generator.explanations = ""
    c.generator.explanation_control = (
        ""  # "shuffled": each another sentence's; "key_words": what the text has
    )
    c.generator.unexplained = (
        "refuse"  # what has entities and no explanation: refuse, or train it as "plain" NER
    )
    c.generator.loss_normalization = "token"  # Eq. 2 as mean over target tokens, or "sequence": the sum
    c.generator.batch_size = 32  # samples a step, over all devices
    c.generator.epochs = 30.0  # or a part of one
    c.generator.learning_rate = 3e-5  # its peak: linear warm-up, then linear decay
    c.generator.weight_decay = 0.01
    c.generator.decay_all = False  # of norms' scales and biases, too
    c.generator.beta2 = 0.999
    c.generator.warmup = 0.1
    c.generator.clip_norm = 1.0
    c.generator.microbatches = 1  # parts that a batch is computed in, one after the other, in less memory
    # what the backward pass computes again, instead of keeping it: none; full, all but the states between layers;
    # products, all but these and the products with weights; or auto, the first of none, products and full that fits
    c.generator.remat = "auto"
    # True compiles one layer of each stack instead of all: far faster to compile, somewhat slower to run; dropout
    # draws other masks
    c.generator.scan_layers = False
    c.generator.max_shapes = 8  # (source, target) shapes that training compiles for

    c.eval = ConfigDict()
    c.eval.every = 0  # steps between dev evaluations; 0 for twice an epoch, bounded in cost
    c.eval.start = 0.1  # share of training before the first
    c.eval.dev_max_sentences = 1_000  # 0 for all; final reports always use all
    c.eval.batch_size = 64  # sentences at a time in the dev evaluations of training

    c.decode = ConfigDict()
    c.decode.batch_size = 64  # sentences at a time in the evaluate stage, predict and the Python interface
    # The most pieces of an output; 0 for text.max_target. Of a longer one the whole items count, the rest is dropped
    # and counted as truncated; unless this is below text.max_target, its text is first read again in halves.
    c.decode.max_length = 0
    c.decode.grammar = True  # well-formed outputs of the text's own spans alone; False: as the paper does
    c.decode.explain = (
        False  # the evaluation has explanations written too, where the generator was trained with some
    )
    c.decode.flat = False  # under the grammar: spans do not overlap, whatever the training data have
    c.decode.symbols = False  # entities that have neither a letter nor a digit count, too
    c.decode.tokens_per_pass = 0  # that speculative decoding verifies at once; 0 for 4 on CPU, 8 elsewhere
    c.decode.beam_size = 1  # hypotheses of free decoding; 1 is greedy
    c.decode.length_penalty = 1.0  # beams are compared by log-probability / tokens ** this
    # on several devices: whole, each has all weights and decodes on its own; split, they lie as they are stored and all
    # devices are in step, where memory is short; auto: whole where there is room
    c.decode.weights = "auto"
    c.decode.threshold = 0.0  # entities with a lower score are left out
    c.decode.type_threshold = ""  # δ of the evaluation and of predict; "" for that of training
    # Divides the logits behind the scores and changes nothing that is written; or "dev": the value that fits dev
    # best, found by the evaluate stage.
    c.decode.calibration_temperature = 1.0

    c.checkpoint = ConfigDict()
    c.checkpoint.every = 500  # steps between checkpoints within a stage
    c.checkpoint.keep = 2  # the latest ones; the best is kept besides

    # Several processes, of which each has devices of its own: `coordinator` is HOST:PORT of the first, `count` how many
    # they are, `index` this one's number from 0. Where none is set, `cluster` says who knows: auto, the environment of
    # srun, Open MPI or a TPU slice; off, nobody; or a cluster's name as JAX has it (slurm, ompi, mpi4py, k8s, gcetpu).
    # Where not all of them see the work directory, `share_files=False` has the first one alone read and write it.
    c.processes = ConfigDict({"coordinator": "", "count": 0, "index": -1, "cluster": "auto"})
    c.processes.share_files = True

    # devices along each axis; −1: all that remain; with sharding=auto, −1, 1, 1 leave the choice to the model's size
    c.mesh = ConfigDict({"data": -1, "fsdp": 1, "tensor": 1})
    # what of the state is split over the mesh: replicated, nothing; zero1, the optimizer's moments; fsdp, parameters
    # and moments over mesh.fsdp, mesh.tensor; tensor, parameters over mesh.tensor, moments over all; auto: what suits
    c.sharding = "auto"

    c.log_every = 50
    c.profile = 0  # steps of each training that are traced: for Perfetto, and a page of where their time goes
    c.max_skipped = 10  # so many steps with a non-finite loss or gradient end a training
    _allow_words(c)
    return c.lock()


REFUSE, PLAIN = "refuse", "plain"  # values of generator.unexplained
DEV = "dev"  # stands for a value that is chosen on the dev split
# The keys that take a number or this word.
NUMBERS_OR = {
    "matcher.type_threshold": DEV,
    "decode.calibration_temperature": DEV,
    "decode.type_threshold": "",
}


def _allow_words(config: ConfigDict) -> None:
    """Makes `NUMBERS_OR` take both. ConfigDict has no type for that, so `validate` checks them."""
    for key in NUMBERS_OR:
        section, _, name = key.rpartition(".")
        value = config[section][name]
        del config[section][name]
        config[section][name] = FieldReference(value, field_type=object)


def copied(config: ConfigDict) -> ConfigDict:
    """A copy, of its own values, whose keys take what those of the configuration take."""
    copy = config.copy_and_resolve_references()
    with copy.unlocked():
        _allow_words(copy)
    return copy


VARIANTS = ("small", "base", "large", "xl", "xxl", "scratch", "exp", "paper", "authors")
FLAN_SIZES = VARIANTS[:5]
EXP, PAPER, AUTHORS = "exp", "paper", "authors"
# Of each, at most one can hold.
_ALTERNATIVES = {"the models": (*FLAN_SIZES, "scratch"), "whom to follow": (PAPER, AUTHORS)}


def variants(arg: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """The comma-separated variants after a config file's colon, in the order given, each once.

    Raises:
      UserError: one that the file does not have, or two that contradict each other.
    """
    chosen = tuple(dict.fromkeys(v for v in (arg or "").split(",") if v))
    for variant in chosen:
        if variant not in known:
            choice = f"choose among {', '.join(known)}" if known else "this configuration has none"
            raise UserError(f"config variant {variant!r}: {choice}")
    for what, names in _ALTERNATIVES.items():
        found = [variant for variant in chosen if variant in names]
        if len(found) > 1:
            raise UserError(f"config variants {found[0]!r} and {found[1]!r}: each chooses {what}; keep one")
    return chosen


def apply_variants(config: ConfigDict, chosen: Sequence[str]) -> None:
    """What the variants that every data set has change."""
    for variant in chosen:
        if variant == "scratch":
            set_scratch(config)
        elif variant == PAPER:
            set_paper(config)
        elif variant == AUTHORS:
            set_authors(config)
        elif variant == EXP:
            config.generator.explanations = "template"  # until there is a file of better ones
        else:
            set_flan(config, variant)


def set_flan(config: ConfigDict, size: str) -> None:
    """One of Flan-T5's sizes; xxl trains with batches of 8 (Table 2)."""
    config.generator.checkpoint = f"google/flan-t5-{size}"
    if size == "xxl":
        config.generator.batch_size = 8


def set_paper(config: ConfigDict) -> None:
    """The paper to the letter, where the defaults depart from it. Where it says nothing (the schedule of the learning
    rate, epochs, the share of type recognition) they stay; Eq. 5 is taken with the signs that its text asks for."""
    c = config
    c.tokenizer.ids = "words"  # prompts and targets are tokenized as strings
    c.generator.loss_normalization = "sequence"  # Eq. 2 sums over tokens
    c.matcher.clip_norm = c.generator.clip_norm = 0.0  # no gradient is clipped
    c.decode.grammar, c.decode.symbols = False, True  # the model writes what it likes, and all of it counts


def set_authors(config: ConfigDict) -> None:
    """The authors' released code, where it departs from the paper or from the defaults. Not followed: its best epoch
    is chosen on test, and its matcher learns from triplets by a library's loss instead of Eq. 4."""
    c = config
    c.tokenizer.ids = "words"
    c.dtype = "float32"
    c.matcher.batch_size = c.generator.batch_size = 16
    c.generator.prompts = "authors"
    c.generator.unique_pairs = True
    c.generator.pool = "prompt"
    c.generator.type_recognition_once = True
    c.generator.clip_norm = 0.0
    c.generator.decay_all = True
    c.eval.start = 1 / 3  # from the eleventh of thirty epochs on
    c.eval.dev_max_sentences = 0
    c.decode.grammar, c.decode.symbols = False, True
    c.decode.max_length = 256
    if c.data.name in NAMED_BY_AUTHORS:
        c.data.schema = f"{c.data.name}-authors"


# The sets whose types have other names there.
NAMED_BY_AUTHORS = ("ontonotes", "wnut17")


def set_scratch(config: ConfigDict) -> None:
    """Small models from random weights, with tokenizers trained on the training split: for machines
    without checkpoints, and sized for two cores."""
    c = config
    c.matcher.checkpoint = c.generator.checkpoint = ""
    c.matcher.type_threshold = DEV
    c.matcher.null_logit = True
    c.matcher.learning_rate = 1e-3
    c.matcher.epochs = 10.0
    c.matcher.max_shapes = c.generator.max_shapes = 4
    c.generator.learning_rate = 1e-3
    c.generator.beta2 = 0.99
    c.generator.batch_size = 16
    c.generator.epochs = 12.0
    c.eval.dev_max_sentences = 500

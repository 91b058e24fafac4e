"""What a run says about its data before it begins."""

from toner_jax import config as configuration
from toner_jax.runs.run import read_data


def test_what_splits_share_is_said(tmp_path, said):
    for name, text in (("train", "Ann B-person\n\nhe O\n"), ("dev", "he O\n"), ("test", "she O\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    config = configuration.base()
    config.data.name = "wnut17"
    config.data.dir = str(tmp_path)
    read_data(config)
    assert said() == [
        "train: 2 sentences, 1 entity",
        "dev: 1 sentence, 0 entities",
        "test: 1 sentence, 0 entities",
        "identical sentences: 1 of 1 in dev also in train",
    ]

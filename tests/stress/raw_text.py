"""Is a report of raw text what `predict` gives? Trains on made-up doses or Chinese, and counts by another rule.

    python tests/stress/raw_text.py --kind=doses --folder=/tmp/doses

The texts have entities inside words (`663mg`) or no words at all. The report's strict scores of the test split are
compared with those of `predict` on the same texts, whose spans are compared with the file's own, characters with
characters; and so are `predict` on the file with its annotation and on its texts alone.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DRUGS = [
    "aspirin",
    "ibuprofen",
    "metformin",
    "heparin",
    "codeine",
    "insulin",
    "warfarin",
    "digoxin",
    "morphine",
]
UNITS = ["mg", "ml", "mcg", "g"]
PLACES = ["北京", "上海", "广州", "深圳", "南京", "武汉", "成都", "西安", "杭州", "长沙", "青岛", "大连"]
SURNAMES, GIVEN = "王李张刘陈杨黄赵吴周徐孙", "伟芳娜敏静丽强磊军洋勇艳杰涛明超兰霞平刚"


def dose(rng: random.Random) -> list[tuple[str, str]]:
    """A sentence as (text, label or ""), in order."""
    amount, unit = str(rng.randrange(1, 1000)), rng.choice(UNITS)
    drug, other = rng.sample(DRUGS, 2)
    return rng.choice(
        [
            [
                ("She took ", ""),
                (amount, "amount"),
                (unit, ""),
                (" of ", ""),
                (drug, "drug"),
                (" today.", ""),
            ],
            [("Give ", ""), (drug, "drug"), ("-", ""), (amount, "amount"), (unit, ""), (" at 8.", "")],
            [(drug.capitalize(), "drug"), (" and ", ""), (other, "drug"), (" were stopped.", "")],
            [("No drug was given on day ", ""), (str(rng.randrange(1, 30)), ""), (".", "")],
            [
                ("A ", ""),
                (amount, "amount"),
                (f"{unit}/day dose of ", ""),
                (drug, "drug"),
                ("-XR helped.", ""),
            ],
        ]
    )


def chinese(rng: random.Random) -> list[tuple[str, str]]:
    person = rng.choice(SURNAMES) + "".join(rng.sample(GIVEN, rng.choice((1, 2))))
    place, other = rng.sample(PLACES, 2)
    return rng.choice(
        [
            [
                (person, "person"),
                ("昨天从", ""),
                (place, "place"),
                ("来到", ""),
                (other, "place"),
                ("。", ""),
            ],
            [("我们在", ""), (place, "place"), ("看见了", ""), (person, "person"), ("。", "")],
            [("今天天气很好", ""), ("。", "")],
            [
                (place, "place"),
                ("大学的", ""),
                (person, "person"),
                ("教授说", ""),
                (other, "place"),
                ("很大。", ""),
            ],
        ]
    )


def record(parts: list[tuple[str, str]]) -> dict[str, object]:
    text, entities = "", []
    for part, label in parts:
        if label:
            entities.append({"start": len(text), "end": len(text) + len(part), "label": label})
        text += part
    return {"text": text, "entities": entities}


def write(folder: Path, kind: str) -> None:
    rng = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    make = {"doses": dose, "chinese": chinese}[kind]
    for split, size in (("train", 6000), ("dev", 300), ("test", 500)):
        lines = [json.dumps(record(make(rng)), ensure_ascii=False) for _ in range(size)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def spans(entities: list[dict[str, object]]) -> set[tuple[object, ...]]:
    return {(e["start"], e["end"], e["label"]) for e in entities}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=("doses", "chinese"), required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("settings", nargs="*", help="--config.KEY=VALUE, after --")
    options = parser.parse_args()
    data, run = options.folder / "data", options.folder / "run"
    write(data, options.kind)
    settings = [
        "--config=configs/custom.py:scratch", f"--workdir={run}", f"--config.data.dir={data}",
        "--config.data.format=jsonl", "--config.matcher.epochs=2.0", "--config.generator.epochs=4.0",
        "--config.eval.dev_max_sentences=100", *options.settings,
    ]  # fmt: skip
    subprocess.run([sys.executable, "-m", "toner_jax.main", *settings], cwd=ROOT, check=True)

    import toner_jax

    ner = toner_jax.load(run)
    lines = [json.loads(line) for line in (data / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    found = [spans(entities) for entities in ner.predict([line["text"] for line in lines])]
    gold = [spans(line["entities"]) for line in lines]
    tp = sum(len(g & f) for g, f in zip(gold, found, strict=True))
    fp, fn = sum(map(len, found)) - tp, sum(map(len, gold)) - tp
    report = json.loads((run / "report/test.json").read_text(encoding="utf-8"))
    strict = report["strict"]
    print(f"unreachable: {report['unreachable']} of {report['entities']}")
    print(f"report:  tp {strict['tp']} fp {strict['fp']} fn {strict['fn']}  F1 {strict['f1']:.4f}")
    print(f"predict: tp {tp} fp {fp} fn {fn}  F1 {2 * tp / (2 * tp + fp + fn):.4f}")
    same = (strict["tp"], strict["fp"], strict["fn"]) == (tp, fp, fn)
    print("the report is what predict gives" if same else "THEY DIFFER")
    sys.exit(not same)


if __name__ == "__main__":
    main()

#!/usr/bin/env bash
# Is the wheel whole? Builds it, installs it by itself, and uses it in an empty folder, far from the checkout.
# With --train, a tiny run is trained to its report, too. PYTHON names another interpreter than .venv's.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# From a copy: a build folder in the checkout may hold what has been deleted since.
mkdir "$folder/source" "$folder/empty"
(cd "$root" && cp -r toner_jax configs pyproject.toml README.md LICENSE "$folder/source")
"$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$folder" "$folder/source"
"$python" -m pip install --quiet --no-deps --target "$folder/installed" "$folder"/*.whl

cd "$folder/empty"
export PYTHONPATH=$folder/installed
toner_jax=$folder/installed/bin/toner-jax
say() { echo "wheel: $*"; }

imported=$("$python" -c 'import toner_jax; print(toner_jax.__file__)')
[[ $imported == "$folder"/installed/* ]] || { say "imported $imported instead"; exit 1; }
for config in "$root"/configs/*.py; do
  name=$(basename "$config" .py)
  "$toner_jax" train --help | grep "^  $name " > /dev/null || { say "the configuration $name is missing"; exit 1; }
done
for part in evaluation/{report.html.j2,predictions.html.j2,sentences.css,sentences.js,marks.js} service/page.{html,css,js}; do
  [[ -f $folder/installed/toner_jax/$part ]] || { say "a page's $part is missing"; exit 1; }
done
[[ -f $folder/installed/toner_jax/demonstration/matcher/1_Pooling/config.json ]] || { say "a part of the demonstration is missing"; exit 1; }
"$python" -c 'import importlib.metadata as m; assert m.entry_points(group="spacy_factories", name="toner_jax")'
echo "Judge Ivan Borcalski came to Selqua ." > texts.txt
"$toner_jax" predict --model=quickstart --input=texts.txt | grep '"Ivan Borcalski"' > /dev/null
"$toner_jax" stats --config=quickstart --splits=dev --json | grep '"sentences": 500' > /dev/null
say "commands and configurations are there"

[[ ${1:-} == --train ]] || exit 0
small=(
  --config.tokenizer.backend=hf --config.tokenizer.generator_vocab_size=500 --config.tokenizer.matcher_vocab_size=600
  --config.data.generated.train=400 --config.data.generated.dev=40 --config.data.generated.test=40
  --config.text.max_source=128 --config.text.max_target=96 --config.matcher.max_shapes=1 --config.matcher.epochs=1.0
  --config.generator.max_shapes=1 --config.generator.epochs=0.2 --config.eval.dev_max_sentences=20
)
"$toner_jax" train --config=quickstart --workdir=run "${small[@]}" --dry_run | grep "^stage generator: start"
"$toner_jax" train --config=quickstart --workdir=run "${small[@]}"
[[ -s run/report/test.html && -s run/report/test.json ]] || { say "no report"; exit 1; }
echo "Rain fell on Lima ." > texts.txt
"$toner_jax" predict --model=run --input=texts.txt | grep '"entities"'
say "a run was trained to its report"


// The page of the service. Everything that is shown of a text is text, never markup.
const at = id => document.getElementById(id);
let types = []; // names of the labels, in order; what `color` goes by
let labels = {}; // name → description
let trained = {};
let model = null;
let token = "";
let asking = null; // the request under way
let shown = null; // {text, spans}: spans as `highlight` has them, of whatever score
let before = []; // the entities before the last change
// What the user has corrected in the text that is shown, which stays while labels and thresholds change.
let edits = { added: [], removed: [] };
const editsOf = new Map(); // of the texts before, for who comes back to one
let moved = false; // δ, by the user
let drawn = 0;
const kept = [];
const examples = [
  "Judge Ivan Borcalski came to Selqua on Monday. He met Professor Maria Jaman of the Harbour Institute in Lima.",
  "The Kestrel 40 by Northwind Motors won the Lake Cup in May 1987. Rita Oduya drove it to Vessana.",
  "In spring 2004 the Treaty of Marowa was signed by Anna Lindqvist, who later led Brightwater Labs.",
];

async function ask(path, body, signal) {
  const headers = body ? { "Content-Type": "application/json" } : {};
  if (token) headers.Authorization = `Bearer ${token}`;
  const given = { method: body ? "POST" : "GET", headers, signal, body: body && JSON.stringify(body) };
  const answer = await fetch(path, given);
  const said = await answer.json();
  if (answer.status === 401) {
    at("token").hidden = false;
    at("secret").focus();
  }
  if (!answer.ok && path !== "ready") throw new Error(said.error ?? `status ${answer.status}`);
  return said;
}

function fail(error) {
  at("failed").hidden = !error;
  at("failed").textContent = error ? (error instanceof TypeError ? "The service does not answer." : error.message) : "";
}

async function start() {
  try {
    model = await ask("model");
  } catch (error) {
    fail(error);
    return;
  }
  at("token").hidden = true;
  fail(null);
  trained = Object.fromEntries(model.labels.map(label => [label.name, label.description]));
  setLabels({ ...trained });
  at("model").textContent = `${model.model}, toner_jax ${model.version}`;
  at("note").textContent = model.note;
  at("note").hidden = !model.note;
  at("threshold").value = model.threshold;
  at("delta").value = model.type_threshold;
  at("delta_row").hidden = at("bars_part").hidden = !model.matches;
  if (!at("text").value) at("text").value = examples[0];
  showThresholds();
  watch();
  find();
}

async function watch() {
  const { ready, prepared, programs } = await ask("ready").catch(() => ({ ready: true }));
  at("warming").hidden = ready;
  at("warming").textContent = `Getting faster: ${prepared} of ${programs} programs are compiled; until all are, an answer may take seconds.`;
  if (!ready) setTimeout(watch, 1500);
}

function setLabels(given) {
  labels = given;
  types = Object.keys(labels);
  at("labels").replaceChildren(...types.map(name => {
    const item = element("li"), chip = element("mark", "", name), away = element("button", "", "×");
    chip.style.background = color(name);
    away.type = "button";
    away.ariaLabel = `remove ${name}`;
    away.disabled = types.length === 1;
    away.addEventListener("click", () => {
      const { [name]: _, ...others } = labels;
      setLabels(others);
      find();
      at("name").focus();
    });
    item.append(chip, element("span", "", labels[name]), away);
    return item;
  }));
  at("as").replaceChildren(...types.map(name => element("option", "", name)));
  at("trained").hidden = JSON.stringify(labels) === JSON.stringify(trained);
}

// What is sent: no labels where they are those of training, whose programs are their own.
const sentLabels = () => JSON.stringify(labels) === JSON.stringify(trained) ? null : labels;
const number = id => Number(at(id).value);
function showThresholds() {
  at("threshold_is").textContent = number("threshold").toFixed(2);
  at("delta_is").textContent = number("delta").toFixed(2);
}

async function find() {
  const text = at("text").value;
  afterTyping.cancel();
  asking?.abort();
  const mine = asking = new AbortController();
  at("result").classList.add("busy");
  const body = { texts: [text], labels: sentLabels() };
  // Until it is moved, δ is the run's own, which the slider rounds.
  const chosen = model?.matches && moved ? { type_threshold: number("delta") } : {};
  try {
    const [found, matched] = await Promise.all([
      ask("predict", { ...body, ...chosen, threshold: 0 }, mine.signal),
      model?.matches ? ask("match_types", body, mine.signal) : null,
    ]);
    if (mine !== asking) return;
    const { entities, info } = found.predictions[0];
    const same = shown?.text === text;
    before = same ? visible() : null;
    if (!same) {
      if (shown) editsOf.set(shown.text, edits);
      edits = editsOf.get(text) ?? { added: [], removed: [] };
      at("menu").close();
    }
    const own = entities.map(e => [e.start, e.end, e.label, "", e.score.toFixed(3)]);
    const { added, removed } = edits;
    shown = { text, spans: [...own.filter(s => ![...added, ...removed].some(sameAs(s))), ...added] };
    at("unread").textContent = info.unread ? `Not all was read: ${info.unread}.` : "";
    if (matched) showBars(matched.types[0]);
    fail(null);
    draw();
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  } finally {
    if (mine === asking) at("result").classList.remove("busy");
  }
}

const later = wait => {
  let timer;
  const start = call => { clearTimeout(timer); timer = setTimeout(call, wait); };
  return Object.assign(start, { cancel: () => clearTimeout(timer) });
};
const soon = later(150), afterTyping = later(700);

// Of whatever score, those that count at the threshold; a correction has no score and always does.
const visible = () => shown.spans.filter(s => s[4] === undefined || Number(s[4]) >= number("threshold"));
const said = s => `${Array.from(shown.text).slice(s[0], s[1]).join("")} (${s[2]})`;
const sameAs = a => b => a[0] === b[0] && a[1] === b[1] && a[2] === b[2];

function draw() {
  if (!shown) return;
  const spans = visible();
  const fresh = before ? spans.filter(s => !before.some(sameAs(s))) : [];
  const gone = before ? before.filter(s => !spans.some(sameAs(s))) : [];
  const root = highlight(shown.text, spans, (mark, span) => {
    mark.tabIndex = 0;
    mark.role = "button";
    mark.classList.toggle("new", fresh.includes(span));
    mark.classList.toggle("own", span[4] === undefined);
    mark.addEventListener("click", () => choose(span));
    mark.addEventListener("keydown", event => {
      if (event.key === "Enter" || event.key === " ") choose(span);
      else if (event.key === "Delete" || event.key === "Backspace") correct(span, null);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  });
  at("result").replaceChildren(...root.childNodes);
  const changes = [
    fresh.length && `new: ${fresh.map(said).join(", ")}`, gone.length && `gone: ${gone.map(said).join(", ")}`,
  ].filter(Boolean);
  const count = `${spans.length} ${spans.length === 1 ? "entity" : "entities"}`;
  at("changed").textContent = [count, ...changes].join("; ");
  at("undo").disabled = !edits.added.length && !edits.removed.length;
  drawn += 1;
  document.body.dataset.drawn = drawn;
}

const delta = () => moved ? number("delta") : model.type_threshold;
function showBars(cosines) {
  at("bars").replaceChildren(...Object.entries(cosines).map(([name, cosine]) => {
    const row = element("div", cosine > delta() ? "bar" : "bar below");
    const track = element("div", "track"), fill = element("div", "fill"), line = element("div", "delta");
    const place = value => `${50 * (value + 1)}%`; // cosines lie between -1 and 1
    fill.style.width = place(cosine);
    fill.style.background = color(name);
    line.style.left = place(delta());
    track.append(fill, line);
    row.append(element("span", "name", name), track, element("span", "value", cosine.toFixed(3)));
    return row;
  }));
}

// Corrections.
function choose(span) {
  at("which").textContent = `“${Array.from(shown.text).slice(span[0], span[1]).join("")}” is`;
  at("choices").replaceChildren(...types.map(name => {
    const button = element("button", "", name);
    button.type = "button";
    button.style.setProperty("--chip", color(name));
    button.ariaPressed = String(name === span[2]);
    button.addEventListener("click", () => { at("menu").close(); correct(span, name); });
    return button;
  }));
  at("remove").onclick = () => { at("menu").close(); correct(span, null); };
  at("menu").showModal();
}

function correct(span, name) {
  before = visible();
  const others = list => list.filter(s => !sameAs(span)(s)); // the model may have been asked again meanwhile
  shown.spans = others(shown.spans);
  edits.added = others(edits.added);
  edits.removed.push(span);
  if (name !== null) add(span[0], span[1], name);
  draw();
}

function add(start, end, name) {
  const fresh = [start, end, name, "", undefined], others = list => list.filter(s => !sameAs(fresh)(s));
  edits = { added: [...others(edits.added), fresh], removed: others(edits.removed) };
  shown.spans = [...others(shown.spans), fresh];
}

// Where in the text a place in the result is: labels are no part of it.
function offsetOf(node, offset) {
  const range = document.createRange();
  range.setStart(at("result"), 0);
  range.setEnd(node, offset);
  const part = range.cloneContents();
  for (const label of part.querySelectorAll("small")) label.remove();
  return Array.from(part.textContent).length;
}

function selected() {
  const area = at("text"), selection = getSelection();
  if (selection.rangeCount && !selection.isCollapsed && at("result").contains(selection.anchorNode) && at("result").contains(selection.focusNode)) {
    const range = selection.getRangeAt(0);
    return [offsetOf(range.startContainer, range.startOffset), offsetOf(range.endContainer, range.endOffset)];
  }
  const count = to => Array.from(area.value.slice(0, to)).length;
  return area.selectionStart < area.selectionEnd && area.value === shown?.text
    ? [count(area.selectionStart), count(area.selectionEnd)] : null;
}

function markSelected() {
  const characters = Array.from(shown?.text ?? "");
  let [start, end] = selected() ?? [0, 0];
  while (start < end && !characters[start].trim()) start += 1;
  while (start < end && !characters[end - 1].trim()) end -= 1;
  if (start >= end) {
    fail(new Error("Nothing is selected, in the text or in what was found."));
    return;
  }
  fail(null);
  before = visible();
  add(start, end, at("as").value);
  getSelection().removeAllRanges();
  draw();
}

function keep() {
  if (!shown) return;
  const entities = visible().map(([start, end, label]) => ({ start, end, label })).sort((a, b) => a.start - b.start || a.end - b.end);
  const row = { text: shown.text, entities };
  const known = kept.findIndex(other => other.text === row.text);
  if (known >= 0) kept[known] = row; else kept.push(row);
  at("kept").textContent = kept.length;
  at("save").disabled = false;
}

function save() {
  const lines = kept.map(row => JSON.stringify(row) + "\n");
  const link = element("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
  link.download = "corrected.jsonl";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

at("find").addEventListener("click", find);
at("text").addEventListener("input", () => afterTyping(find));
at("text").addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find();
});
at("example").addEventListener("click", () => {
  at("text").value = examples[(examples.indexOf(at("text").value) + 1) % examples.length];
  find();
});
at("adding").addEventListener("submit", event => {
  event.preventDefault();
  const name = at("name").value.trim();
  if (!name) return;
  setLabels({ ...labels, [name]: at("description").value.trim() || (Object.hasOwn(trained, name) ? trained[name] : "") });
  at("adding").reset();
  at("name").focus();
  find();
});
at("trained").addEventListener("click", () => { setLabels({ ...trained }); find(); });
at("threshold").addEventListener("input", () => {
  if (!shown) return;
  const was = Number(at("threshold_is").textContent), now = number("threshold");
  before = shown.spans.filter(s => s[4] === undefined || Number(s[4]) >= was);
  at("threshold_is").textContent = now.toFixed(2);
  draw();
});
at("delta").addEventListener("input", () => { moved = true; showThresholds(); soon(find); });
at("mark").addEventListener("click", markSelected);
at("leave").addEventListener("click", () => at("menu").close());
at("keep").addEventListener("click", keep);
at("save").addEventListener("click", save);
at("undo").addEventListener("click", () => { edits = { added: [], removed: [] }; find(); });
at("token").addEventListener("submit", event => {
  event.preventDefault();
  token = at("secret").value;
  start();
});
addEventListener("beforeunload", event => { if (kept.length || edits.added.length || edits.removed.length) event.preventDefault(); });
at("save").disabled = at("undo").disabled = true;
start();

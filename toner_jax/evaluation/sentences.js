const hues = types.map((_, i) => Math.round(360 * i / types.length + 200) % 360);
const color = t => `hsl(${hues[types.indexOf(t)]} 75% var(--mark))`;
const element = (tag, cls, text) => {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (text !== undefined) e.textContent = text;
  return e;
};

// Spans are [start, end, type, status, score]; the status of one that nobody has judged is "", and a gold one has no
// score. They nest where they can; one that crosses another's end is continued after it.
function highlight(text, spans) {
  const root = element("div");
  const sorted = [...spans].sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  const characters = Array.from(text); // offsets count code points, not UTF-16 units
  function fill(parent, from, to, inside) {
    let at = from;
    while (inside.length) {
      const [first, ...rest] = inside;
      const end = Math.min(first[1], to);
      parent.append(characters.slice(at, first[0]).join(""));
      const mark = element("mark", ["", "correct"].includes(first[3]) ? "" : "wrong");
      mark.style.background = color(first[2]);
      mark.addEventListener("click", event => { mark.classList.toggle("open"); event.stopPropagation(); });
      const behind = [first[3].replaceAll("_", " "), first[4] === undefined ? "" : `score ${first[4]}`].filter(Boolean);
      mark.title = behind.join(", ");
      const covered = rest.filter(s => s[0] < end);
      const crossing = covered.filter(s => s[1] > end).map(s => [end, ...s.slice(1)]);
      fill(mark, first[0], end, covered);
      const label = element("small", "", first[2]);
      if (behind.length) label.append(element("i", "", ` ${behind.join(", ")}`));
      mark.append(label);
      parent.append(mark);
      at = end;
      inside = [...crossing, ...rest.filter(s => s[0] >= end)].sort((a, b) => a[0] - b[0] || b[1] - a[1]);
    }
    parent.append(characters.slice(at, to).join(""));
  }
  fill(root, 0, characters.length, sorted);
  return root;
}

const field = id => document.getElementById(id);
let shown = 0, selected = [], filters = [];
function more() {
  field("list").append(...selected.slice(shown, shown + 50).map(card));
  shown = Math.min(shown + 50, selected.length);
  field("more").hidden = shown === selected.length;
}
// The page's own `selects(row)` and `card(row)` say which rows are shown, and as what; `orders` by what they are sorted.
const scoresOf = (row, wrong) => (row.predicted ?? row.spans).filter(s => !wrong || !["", "correct"].includes(s[3])).map(s => s[4]);
const orders = {
  surest: row => -Math.max(-1, ...scoresOf(row, true)), // the surest mistake first
  least: row => Math.min(2, ...scoresOf(row, false)), // the least sure entity first
};
function filter() {
  const text = field("search").value.toLowerCase();
  selected = rows.filter(row => selects(row) && row.text.toLowerCase().includes(text));
  const by = orders[field("order").value];
  if (by) selected = selected.map(row => [by(row), row]).sort((a, b) => a[0] - b[0]).map(pair => pair[1]);
  const asked = filters.filter(id => field(id).value).map(id => `${field(id).ariaLabel}: ${said(field(id))}`);
  field("asked").textContent = asked.join(", ");
  field("count").textContent = `${selected.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} ${unit}`;
  field("list").replaceChildren();
  shown = 0;
  more();
}
const said = input => input.selectedOptions ? input.selectedOptions[0].textContent : input.value;
function showKey() {
  for (const t of types) {
    const mark = element("mark", "", t);
    mark.style.background = color(t);
    field("key").append(mark);
  }
}
// Filters stand in the address, so that a link leads to what they show.
function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  field("scores").checked = asked.has("scores");
  document.body.classList.toggle("scores", field("scores").checked);
  for (const id of filters) {
    field(id).value = asked.get(id) ?? "";
    if (field(id).selectedIndex === -1) field(id).selectedIndex = 0;
  }
  filter();
  if (filters.some(id => asked.has(id))) field("count").scrollIntoView();
}
function toAddress() {
  const set = filters.filter(id => field(id).value).map(id => [id, field(id).value]);
  if (field("scores").checked) set.push(["scores", "1"]);
  history.replaceState(null, "", set.length ? `#${new URLSearchParams(set)}` : location.pathname + location.search);
  filter();
}
function showFiltered(fields) {
  filters = [...fields, "order", "search"];
  for (const id of filters) field(id).addEventListener("input", toAddress);
  field("scores").addEventListener("input", () => {
    document.body.classList.toggle("scores", field("scores").checked);
    toAddress();
  });
  field("more").addEventListener("click", more);
  addEventListener("hashchange", fromAddress);
  addEventListener("beforeprint", () => {
    while (shown < Math.min(selected.length, 500)) more();
    if (shown < selected.length) field("asked").textContent += ` (the first ${shown} are printed)`;
  });
  fromAddress();
}

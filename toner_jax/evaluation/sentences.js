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

// `types`, which the page sets, are all that there are: their order gives the colours.
const hue = t => Math.round(360 * types.indexOf(t) / types.length + 200) % 360;
const color = t => `hsl(${hue(t)} 75% var(--mark))`;
const element = (tag, cls, text) => {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  if (text !== undefined) e.textContent = text;
  return e;
};

// Spans are [start, end, type, status, score]; the status of one that nobody has judged is "", and a gold one has no
// score. They nest where they can; one that crosses another's end is continued after it.
// `each(mark, span)` is told of every mark, of one that is continued several times.
function highlight(text, spans, each = () => {}) {
  const root = element("div");
  const sorted = spans.map(s => [s[0], s[1], s[2], s[3], s[4], s]).sort((a, b) => a[0] - b[0] || b[1] - a[1]);
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
      each(mark, first[5]);
      at = end;
      inside = [...crossing, ...rest.filter(s => s[0] >= end)].sort((a, b) => a[0] - b[0] || b[1] - a[1]);
    }
    parent.append(characters.slice(at, to).join(""));
  }
  fill(root, 0, characters.length, sorted);
  return root;
}

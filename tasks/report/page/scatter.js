// The picture of the catalogue: melody kept against ambience taken on, a point per pair.
const MAP = { width: 460, height: 330, left: 62, right: 14, top: 14, bottom: 42, points: new Map() };

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : 0;
}

// Pairs that stand far from the others, the farthest first.
function outliers(rows) {
  const middle = {};
  const spread = {};
  for (const key of ["content", "texture"]) {
    middle[key] = median(rows.map((row) => row[key]));
    spread[key] = Math.max(1.48 * median(rows.map((row) => Math.abs(row[key] - middle[key]))), 0.03);
  }
  const far = (row) => Math.hypot((row.content - middle.content) / spread.content, (row.texture - middle.texture) / spread.texture);
  return rows.map((row) => [far(row), row]).filter(([distance, row]) => distance > 3 || (row.state === "look" && distance > 1.5))
    .sort((a, b) => b[0] - a[0]).map(([, row]) => row);
}

function drawMap() {
  const rows = ROWS.filter((row) => isMade(row) && row.content !== null && row.texture !== null);
  const figure = byId("map");
  figure.hidden = !rows.length;
  if (!rows.length) return;
  const { width, height, left, right, top, bottom } = MAP;
  const within = (key) => {
    const values = rows.map((row) => row[key]);
    const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    return [low < 0 ? low - 0.03 : 0, high > 1 ? high + 0.03 : 1];
  };
  const [x0, x1] = within("texture");
  const [y0, y1] = within("content");
  const x = (value) => left + ((value - x0) / (x1 - x0)) * (width - left - right);
  const y = (value) => height - bottom - ((value - y0) / (y1 - y0)) * (height - top - bottom);
  const picture = drawing("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": "map-title" });
  const text = (at, content, more) => {
    const made = drawing("text", { x: at[0], y: at[1], ...more });
    made.textContent = content;
    return made;
  };
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    picture.append(
      drawing("line", { class: "grid", x1: x(value), x2: x(value), y1: top, y2: height - bottom }),
      drawing("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
      text([x(value), height - bottom + 15], String(value), { "text-anchor": "middle" }),
      text([left - 7, y(value) + 4], String(value), { "text-anchor": "end" }));
  }
  picture.append(
    text([(left + width - right) / 2, height - 8], "ambience taken on", { class: "title", "text-anchor": "middle" }),
    text([0, 0], "melody kept", { class: "title", "text-anchor": "middle", transform: `translate(13 ${(top + height - bottom) / 2}) rotate(-90)` }));
  const r = rows.length > 400 ? 2.2 : rows.length > 80 ? 3 : 4.5;
  for (const row of [...rows].sort((a, b) => STATES[b.state].order - STATES[a.state].order)) {
    const title = drawing("title");
    title.textContent = `${row.name}: ${row.words}`;
    const point = drawing("circle", { class: `point ${row.state}`, cx: x(row.texture), cy: y(row.content), r }, title);
    point.addEventListener("click", () => pick(row, true));
    MAP.points.set(row, point);
    picture.append(point);
  }
  const boxes = [];
  for (const row of outliers(rows).slice(0, 40)) {
    const name = row.name.length > 26 ? `${row.name.slice(0, 25)}…` : row.name;
    const size = name.length * 6 + 8;
    const [px, py] = [x(row.texture), y(row.content)];
    const meets = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
    const isFree = (box) => box.x >= left && box.x + size <= width && box.y >= 0 && box.y + box.h < height - bottom && !boxes.some((other) => meets(box, other));
    const places = [[px + 7, py - 7], [px - size - 3, py - 7], [px - size / 2, py - 22], [px - size / 2, py + 8]];
    const under = (box) => rows.filter((other) => meets(box, { x: x(other.texture) - 2, y: y(other.content) - 2, w: 4, h: 4 })).length;
    const free = places.map(([x, y]) => ({ x, y, w: size, h: 14 })).filter(isFree);
    const [box] = free.sort((a, b) => under(a) - under(b));
    if (boxes.length >= 6 || !box) continue;
    boxes.push(box);
    const label = text([box.x, box.y + 11], name, { class: "outlier" });
    label.addEventListener("click", () => pick(row, true));
    picture.append(label);
  }
  const caption = element("figcaption", { id: "map-title" }, "Every pair: melody kept against ambience taken on. Choose a point to hear it.");
  figure.replaceChildren(caption, picture);
}

function markPoint(row) {
  for (const point of MAP.points.values()) point.classList.remove("chosen");
  const point = MAP.points.get(row);
  if (!point) return;
  point.classList.add("chosen");
  point.parentNode.append(point); // on top
}

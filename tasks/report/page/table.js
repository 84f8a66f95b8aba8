// The table of all pairs: sorted, filtered, fifty rows at a time.
const isMany = (name) => new Set(ROWS.map((row) => row[name]).filter((value) => value !== null && value !== "")).size > 1;

const COLUMNS = [
  { key: "id", title: "Pair", cell: pairCell },
  { key: "ambience", title: "Ambience", class: "wide", cell: (row) => nameOf(row.ambience) },
  { key: "music", title: "Music", class: "wide", cell: (row) => nameOf(row.music) },
  { key: "strength", title: "Strength", class: "n wide", cell: (row) => number(row.strength) },
  { key: "preset", title: "Preset", class: "wide roomy", cell: (row) => row.preset || "", isShown: () => isMany("preset") },
  { key: "content", title: "Melody", help: "melody kept: 0 is the ambience, 1 the music", class: "meter", cell: (row) => meter(row, "content") },
  { key: "texture", title: "Ambience on", help: "ambience taken on: 0 is the music, 1 the ambience", class: "meter", cell: (row) => meter(row, "texture") },
  { key: "duration_s", title: "Length", class: "n wide", cell: (row) => (row.duration_s ? clock(row.duration_s) : "") },
  { key: "state", title: "Sounds", cell: stateCell },
];

function pairCell(row) {
  const under = [nameOf(row.ambience), nameOf(row.music), row.strength === null ? "" : number(row.strength)];
  return element("button", { type: "button", class: "pick", onclick: () => pick(row) },
    element("span", { class: "id" }, row.name),
    element("small", { class: "narrow" }, under.filter(Boolean).join(" · ")));
}

function meter(row, key) {
  const value = row[key];
  if (value === null || value === undefined) return "";
  const bar = element("i");
  bar.style.width = `${Math.min(Math.max(value, 0), 1) * 100}%`;
  return element("span", { class: "bar" }, element("span", {}, number(value)), element("u", {}, bar));
}

function stateCell(row) {
  return element("span", { class: `state ${row.state}`, title: row.words || row.error || "" }, STATES[row.state].short);
}

function drawTable() {
  const shown = COLUMNS.filter((column) => !column.isShown || column.isShown());
  const heads = shown.map((column) => {
    const isSorted = VIEW.sort === column.key;
    const sort = isSorted ? (VIEW.down ? "descending" : "ascending") : "none";
    const button = element("button", { type: "button", title: column.help || "", "data-sort": column.key, onclick: () => sortBy(column.key) },
      column.title, element("span", { class: "arrow", "aria-hidden": "true" }, isSorted ? (VIEW.down ? "▾" : "▴") : ""));
    return element("th", { scope: "col", class: column.class || "", "aria-sort": sort }, button);
  });
  const first = VIEW.page * PAGE_SIZE;
  const rows = VIEW.order.slice(first, first + PAGE_SIZE).map((row) => {
    const cells = shown.map((column) => element("td", { class: column.class || "" }, column.cell(row)));
    const made = element("tr", { class: row.state, onclick: (event) => event.target.closest("button") || pick(row) }, ...cells);
    if (row === VIEW.chosen) made.setAttribute("aria-current", "true");
    made.row = row;
    return made;
  });
  const empty = element("tr", {}, element("td", { colSpan: shown.length, class: "none" }, "No pair fits the filter."));
  byId("table").replaceChildren(
    element("caption", { class: "unseen" }, "Pairs of the catalogue"),
    element("thead", {}, element("tr", {}, ...heads)),
    element("tbody", {}, ...(rows.length ? rows : [empty])));
  const last = Math.min(first + PAGE_SIZE, VIEW.order.length);
  byId("count").textContent = VIEW.order.length
    ? `${counted(first + 1)} to ${counted(last)} of ${plural(VIEW.order.length, "pair")}` : "0 pairs";
  byId("earlier").disabled = VIEW.page === 0;
  byId("later").disabled = last >= VIEW.order.length;
}

function redraw() {
  arrange();
  VIEW.page = 0;
  drawTable();
}

function sortBy(key) {
  VIEW.down = VIEW.sort === key && !VIEW.down;
  VIEW.sort = key;
  redraw();
  byId("table").querySelector(`[data-sort="${key}"]`).focus();
}

function turn(by) {
  VIEW.page += by;
  drawTable();
  document.querySelector(".scroll").scrollIntoView({ block: "nearest" });
}

function show(state) {
  VIEW.state = state;
  for (const chip of byId("states").children) chip.setAttribute("aria-pressed", String(chip.dataset.state === state));
  redraw();
}

function drawTools() {
  const kinds = Object.keys(STATES).filter((state) => inState(state).length);
  const chip = (state, name, n) => element("button", {
    type: "button", class: `chip ${state}`, "data-state": state, "aria-pressed": String(state === VIEW.state), onclick: () => show(state),
  }, name, " ", element("span", {}, counted(n)));
  byId("states").replaceChildren(chip("", "all", ROWS.length), ...(kinds.length > 1 ? kinds.map((state) => chip(state, STATES[state].short, inState(state).length)) : []));
  const choice = (name, title) => {
    const values = [...new Set(ROWS.map((row) => row[name]).filter((value) => value !== null && value !== ""))].sort(compare);
    if (values.length < 2 || values.length > 40) return null;
    const options = values.map((value) => element("option", { value: String(value) }, name === "strength" ? number(value) : nameOf(String(value))));
    return element("select", {
      "aria-label": title, onchange: (event) => {
        VIEW.choices[name] = event.target.value;
        redraw();
      },
    }, element("option", { value: "" }, title), ...options);
  };
  const find = element("input", {
    type: "search", id: "find", placeholder: "Find a name, a word, a reason", "aria-label": "Find pairs",
    oninput: (event) => {
      VIEW.text = event.target.value;
      redraw();
    },
  });
  byId("choices").replaceChildren(...[find, choice("ambience", "Any ambience"), choice("music", "Any music"), choice("strength", "Any strength"), choice("preset", "Any preset")].filter(Boolean));
  byId("earlier").addEventListener("click", () => turn(-1));
  byId("later").addEventListener("click", () => turn(1));
}

// The rows of the report, from columns; a column with few distinct values is stored as indices.
const DATA = JSON.parse(byId("data").textContent);

const ROWS = (() => {
  const columns = Object.entries(DATA.columns).map(([name, column]) =>
    [name, Array.isArray(column) ? column : column.at.map((k) => column.distinct[k])]);
  const n = columns.length ? columns[0][1].length : 0;
  return Array.from({ length: n }, (_, k) => {
    const row = Object.fromEntries(columns.map(([name, values]) => [name, values[k]]));
    row.name = row.id || `line ${row.line}`;
    row.text = [row.name, row.ambience, row.music, row.preset, row.words, row.error]
      .join("\n").toLowerCase();
    return row;
  });
})();

const STATES = {
  meant: { short: "as meant", long: "sounds as meant", order: 4 },
  look: { short: "to look at", long: "to look at", order: 3 },
  failed: { short: "failed", long: "failed", order: 0 },
  invalid: { short: "invalid", long: "breaks a rule of the manifest", order: 1 },
  not_run: { short: "not run", long: "was not run", order: 2 },
  skipped: { short: "skipped", long: "was left out", order: 5 },
};

const isMade = (row) => row.state === "meant" || row.state === "look";
const inState = (...states) => ROWS.filter((row) => states.includes(row.state));

// What the page shows now. `order` holds the rows that pass the filter, in the table's order.
const VIEW = { state: "", text: "", choices: {}, sort: "line", down: false, page: 0, order: ROWS, chosen: null };
const PAGE_SIZE = 50;
const COLLATOR = new Intl.Collator("en", { numeric: true });

function compare(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined || a === "") return 1;
  if (b === null || b === undefined || b === "") return -1;
  return typeof a === "number" && typeof b === "number" ? a - b : COLLATOR.compare(a, b);
}

function arrange() {
  const words = VIEW.text.toLowerCase().split(/\s+/).filter(Boolean);
  const choices = Object.entries(VIEW.choices).filter(([, value]) => value !== "");
  const key = VIEW.sort === "state" ? (row) => STATES[row.state].order : (row) => row[VIEW.sort];
  const isKnown = (row) => key(row) !== null && key(row) !== undefined && key(row) !== "";
  const sign = VIEW.down ? -1 : 1;
  VIEW.order = ROWS.filter((row) =>
    (!VIEW.state || row.state === VIEW.state) &&
    words.every((word) => row.text.includes(word)) &&
    choices.every(([name, value]) => String(row[name]) === value));
  VIEW.order.sort((a, b) => {
    const both = isKnown(a) && isKnown(b); // rows without a value stay last either way
    return (both ? sign : 1) * compare(key(a), key(b)) || a.line - b.line;
  });
}

// What came of the catalogue, the choice of a pair, and the keys.
function drawSentence() {
  const made = ROWS.filter(isMade);
  const sound = made.reduce((sum, row) => sum + (row.duration_s || 0), 0);
  const work = made.reduce((sum, row) => sum + (row.transfer_seconds || 0) + (row.invert_seconds || 0), 0);
  const asked = ROWS.length - inState("skipped").length;
  const parts = [`${counted(made.length)} of ${plural(DATA.n_asked || asked, "pair")} rendered`];
  if (sound) parts.push(`${lasting(sound)} of sound`);
  if (work) parts.push(`${lasting(work)} of work`);
  parts.push(new Date(DATA.written_at).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }));
  byId("sentence").textContent = parts.join(" · ");
}

function listed(rows, describe, state) {
  const shown = rows.slice(0, 4).map((row) => element("li", {},
    element("button", { type: "button", class: "link", onclick: () => pick(row, true) }, row.name), " ",
    element("span", {}, describe(row))));
  const more = rows.length > 4
    ? [element("li", {}, element("button", { type: "button", class: "link", onclick: () => { show(state); byId("pairs").focus(); } }, `and ${counted(rows.length - 4)} more`))] : [];
  return element("ul", { class: "named" }, ...shown, ...more);
}

function drawVerdicts() {
  const [meant, look] = [inState("meant"), inState("look")];
  const bad = inState("failed", "invalid");
  const left = inState("not_run");
  const made = meant.length + look.length;
  const blocks = [];
  if (DATA.n_asked && DATA.n_asked > ROWS.length) {
    blocks.push(element("p", { class: "note" }, `The catalogue is still being rendered: ${counted(ROWS.length)} of ${plural(DATA.n_asked, "pair")} so far. `,
      element("button", { type: "button", class: "link", onclick: () => location.reload() }, "Look again")));
  }
  if (DATA.n_rows > ROWS.length) blocks.push(element("p", { class: "note" }, `This page shows ${counted(ROWS.length)} of ${counted(DATA.n_rows)} rows, those with trouble first; results.csv has all.`));
  blocks.push(element("p", { class: "big" }, made ? element("b", {}, `${counted(meant.length)} of ${counted(made)}`) : element("b", {}, "No pair"), made ? " sound as meant" : " is rendered yet"));
  const share = element("div", { class: "share", "aria-hidden": "true" });
  for (const [state, n] of [["meant", meant.length], ["look", look.length], ["failed", bad.length], ["not_run", left.length]]) {
    if (!n) continue;
    const part = element("i", { class: state });
    part.style.flexGrow = String(n);
    share.append(part);
  }
  blocks.push(share);
  if (look.length) {
    const worst = [...look].sort((a, b) => Math.min(a.content, a.texture) - Math.min(b.content, b.texture));
    blocks.push(element("h2", { class: "look" }, `${counted(look.length)} to look at`), listed(worst, (row) => row.doubt, "look"));
  }
  if (bad.length) {
    blocks.push(element("h2", { class: "failed" }, `${counted(bad.length)} failed`), listed(bad, briefly, bad[0].state),
      element("p", { class: "way" }, "Mend what the reasons name, then run the same command again: what is finished stays, and only the rest is rendered."));
  }
  if (left.length) {
    blocks.push(element("h2", { class: "not_run" }, `${counted(left.length)} not run`),
      element("p", { class: "way" }, "The run was stopped. The same command continues with them."));
  }
  byId("verdicts").replaceChildren(...blocks);
}

// Choose a pair. The one that is chosen already is played or paused.
function pick(row, isFar = false) {
  if (row === VIEW.chosen && !isFar) {
    if (isMade(row)) PLAYER.toggle();
    openPair();
    return;
  }
  choose(row);
  openPair();
  if (isFar) byId("pair-title").focus({ preventScroll: true });
  history.replaceState(null, "", `#pair=${encodeURIComponent(row.name)}`);
}

function choose(row) {
  VIEW.chosen = row;
  PANEL.show(row);
  markPoint(row);
  for (const line of byId("table").tBodies[0].rows) {
    if (line.row === row) line.setAttribute("aria-current", "true");
    else line.removeAttribute("aria-current");
  }
}

function openPair() {
  document.body.classList.add("open");
}

function closePair() {
  PLAYER.pause();
  document.body.classList.remove("open");
  const current = byId("table").querySelector("[aria-current] .pick");
  if (current) current.focus();
}

// The pair before or after this one, in the table's order.
function go(by) {
  const at = VIEW.order.indexOf(VIEW.chosen);
  const row = VIEW.order[Math.min(Math.max(at + by, 0), VIEW.order.length - 1)];
  if (!row || row === VIEW.chosen) return;
  const isPlaying = PLAYER.isPlaying;
  const inTable = byId("table").contains(document.activeElement);
  const page = Math.floor(VIEW.order.indexOf(row) / PAGE_SIZE);
  if (page !== VIEW.page) {
    VIEW.page = page;
    drawTable();
  }
  choose(row);
  history.replaceState(null, "", `#pair=${encodeURIComponent(row.name)}`);
  const target = inTable ? byId("table").querySelector("[aria-current] .pick") : byId("pair-title");
  if (target) target.focus({ preventScroll: !inTable });
  if (isPlaying && isMade(row)) PLAYER.play();
  say(`${row.name}: ${STATES[row.state].long}`);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target, key } = event;
  const isPosition = target.type === "range";
  if (target.matches("select, textarea, input") && !isPosition && target.type !== "checkbox") return;
  const isNear = target.closest("#pair, #table");
  const keys = {
    1: () => PLAYER.choose(0),
    2: () => PLAYER.choose(1),
    3: () => PLAYER.choose(2),
    " ": () => PLAYER.toggle(),
    ArrowLeft: () => PLAYER.seek(PLAYER.position - 2),
    ArrowRight: () => PLAYER.seek(PLAYER.position + 2),
    ArrowUp: () => go(-1),
    ArrowDown: () => go(1),
    Escape: closePair,
  };
  if (!keys[key]) return;
  if (key.startsWith("Arrow") && (key.endsWith("Up") || key.endsWith("Down")) && !isNear) return;
  // Space presses buttons as everywhere; in the player, and on the chosen row, it plays.
  const pressed = target.closest("button, summary, [type=checkbox], a");
  if (key === " " && pressed && !pressed.matches(".choose, .play, [aria-current] .pick")) return;
  if (key !== "Escape" && (!VIEW.chosen || !isMade(VIEW.chosen)) && !key.endsWith("Up") && !key.endsWith("Down")) return;
  event.preventDefault();
  keys[key]();
}

(() => {
  drawSentence();
  drawVerdicts();
  drawTools();
  redraw();
  drawMap();
  const wanted = decodeURIComponent((/^#pair=(.*)$/.exec(location.hash) || [])[1] || "");
  const asked = ROWS.find((row) => row.name === wanted);
  const first = asked || ROWS.find(isMade) || ROWS[0];
  if (first) choose(first);
  if (asked) openPair();
  document.addEventListener("keydown", onKey);
  // A button acts when space is released: that must not follow a key that was used here.
  document.addEventListener("keyup", (event) => {
    if (event.key === " " && event.target.matches(".choose, .play, [aria-current] .pick")) event.preventDefault();
  });
  window.addEventListener("resize", () => PANEL.refresh());
})();

// One pair and one question: the two references, and a slider for each hidden sound.
const DECK = new Deck();

function soundButton(name, label, title) {
  const button = element("button", {
    type: "button", class: "sound", "aria-pressed": "false", "aria-label": title,
    onclick: () => {
      if (DECK.isPlaying && DECK.active && DECK.active.name === name) DECK.pause();
      else DECK.choose(name);
    },
  }, ...label);
  button.sound = name;
  return button;
}

function rate(row, score) {
  scoresAt(STATE.at)[row.sound] = score;
  keep();
  showScore(row);
  byId("missing").textContent = "";
}

function showScore(row) {
  const score = scoresAt(STATE.at)[row.sound];
  const isRated = score !== undefined;
  const slider = row.querySelector("input");
  row.classList.toggle("unrated", !isRated);
  slider.setAttribute("aria-valuetext", isRated ? `${score}, ${wordFor(score).toLowerCase()}` : "not rated yet");
  row.querySelector("output").textContent = isRated ? String(score) : "–";
}

function soundRow(name, index) {
  const letter = letterOf(index);
  const score = scoresAt(STATE.at)[name];
  const slider = element("input", { type: "range", min: "0", max: "100", step: "1", "aria-label": `Rating of sound ${letter}` });
  slider.value = String(score === undefined ? 50 : score);
  const row = element("li", { class: "row" },
    soundButton(name, [letter], `Play sound ${letter}`),
    element("span", { class: "rail" }, slider),
    element("output", { "aria-hidden": "true" }));
  row.sound = name;
  slider.addEventListener("input", () => rate(row, Number(slider.value)));
  // A press that does not move the slider rates as well.
  slider.addEventListener("click", () => rate(row, Number(slider.value)));
  showScore(row);
  return row;
}

function transport() {
  const bar = element("input", { type: "range", min: "0", max: "1000", step: "1", id: "position", "aria-label": "Position" });
  bar.value = "0";
  bar.addEventListener("input", () => DECK.seek((Number(bar.value) / 1000) * DECK.duration));
  return element("div", { class: "transport" },
    element("button", { type: "button", class: "play", id: "play", onclick: () => DECK.toggle() }, "Play"),
    bar, element("span", { class: "time", id: "time", "aria-hidden": "true" }));
}

function references(trial) {
  return element("div", { class: "references", role: "group", "aria-label": "References" },
    soundButton(trial.music, [element("kbd", {}, "1"), " Music"], "Play the music"),
    soundButton(trial.ambience, [element("kbd", {}, "2"), " Ambience"], "Play the ambience"));
}

function drawTrial() {
  const trial = trialAt(STATE.at);
  const question = QUESTIONS[questionAt(STATE.at)];
  const number = STATE.at % DATA.questions.length;
  const pair = Math.floor(STATE.at / DATA.questions.length) + 1;
  const done = element("progress", { "aria-label": "Progress" });
  done.max = N_STEPS;
  done.value = STATE.at;
  const steps = DATA.questions.map((name, index) => {
    const item = element("li", {}, QUESTIONS[name].title);
    if (index === number) item.setAttribute("aria-current", "step");
    return item;
  });
  byId("screen").replaceChildren(
    element("div", { class: "where" }, element("p", {}, `Pair ${pair} of ${DATA.trials.length}, question ${number + 1} of ${DATA.questions.length}`), done,
      element("ol", { class: "questions" }, ...steps)),
    element("section", { class: "card task", "aria-labelledby": "question" },
      element("h2", { id: "question", tabIndex: -1 }, question.title),
      element("p", {}, question.text),
      element("div", { class: "player" }, references(trial), transport()),
      element("p", { id: "trouble", class: "trouble" }),
      element("div", { class: "scale", "aria-hidden": "true" }, element("span"), element("div", { class: "words" }, ...WORDS.map((word) => element("span", {}, word))), element("span")),
      element("ul", { class: "rows" }, ...trial.sounds.map(soundRow)),
      element("p", { class: "ends" }, element("span", {}, `0: ${question.ends[0]}`), element("span", {}, `100: ${question.ends[1]}`))),
    element("nav", { class: "steps-nav", "aria-label": "Steps" },
      element("button", { type: "button", class: "plain", onclick: () => show(STATE.at - 1) }, "Back"),
      element("p", { id: "missing", class: "trouble", role: "alert" }),
      element("button", { type: "button", class: "next", onclick: next }, STATE.at + 1 < N_STEPS ? "Next" : "Finish")));
  DECK.load([trial.music, trial.ambience, ...trial.sounds]);
  DECK.onHeard = (name) => {
    STATE.heard[name] = true;
    keep();
  };
  DECK.onChange = refresh;
  DECK.onTick = refreshPosition;
  refresh();
}

function refresh() {
  const active = DECK.active && DECK.active.name;
  for (const button of document.querySelectorAll(".sound")) {
    button.setAttribute("aria-pressed", String(button.sound === active && DECK.isPlaying));
  }
  const play = byId("play");
  if (play) play.textContent = DECK.isPlaying ? "Pause" : "Play";
  const trouble = byId("trouble");
  if (trouble) trouble.textContent = DECK.trouble;
  refreshPosition();
}

function refreshPosition() {
  const bar = byId("position");
  if (!bar) return;
  const { position, duration } = DECK;
  bar.value = String(duration ? Math.round((1000 * position) / duration) : 0);
  bar.setAttribute("aria-valuetext", `${clock(position)} of ${clock(duration)}`);
  byId("time").textContent = `${clock(position)} / ${clock(duration)}`;
}

const lettersOf = (names) => names.map((name) => letterOf(trialAt(STATE.at).sounds.indexOf(name))).join(", ");

function next() {
  const { unheard, unrated } = missingAt(STATE.at);
  if (!unheard.length && !unrated.length) {
    show(STATE.at + 1);
    return;
  }
  const parts = [];
  if (unheard.length) parts.push(`Listen to ${lettersOf(unheard)} first.`);
  if (unrated.length) parts.push(`Move the slider of ${lettersOf(unrated)}.`);
  byId("missing").textContent = parts.join(" ");
  focusSlider((unheard[0] || unrated[0]));
}

function focusSlider(name) {
  const row = [...document.querySelectorAll(".row")].find((each) => each.sound === name);
  if (row) row.querySelector("input").focus();
}

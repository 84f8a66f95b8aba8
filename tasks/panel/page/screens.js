// The three screens (explanation, pairs, end), and the keys.
function field(id, label, control) {
  control.id = id;
  control.value = STATE[id];
  control.addEventListener("input", () => {
    STATE[id] = control.value;
    keep();
  });
  return element("p", { class: "field" }, element("label", { for: id }, label), control);
}

function choice(options) {
  const control = element("select");
  control.append(...options.map(([value, text]) => element("option", { value }, text)));
  return control;
}

function drawStart() {
  const first = ORDER[0];
  const minutes = Math.max(5, Math.round((N_STEPS * 1.2) / 5) * 5);
  byId("screen").replaceChildren(
    element("section", { class: "card task start", "aria-labelledby": "question" },
      element("h2", { id: "question", tabIndex: -1 }, "How it works"),
      element("p", {}, "A computer has tried to let an ambience, such as rain, play a piece of music. For each pair of music and ambience you hear several sounds. Some are such attempts, some are simple mixtures, and some are the music or the ambience itself. They have letters instead of names, and everybody gets another order."),
      element("p", {}, `You answer three questions about each of ${plural(DATA.trials.length, "pair")}, and rate every sound from 0 (bad) to 100 (excellent):`),
      element("ol", { class: "asked" }, ...DATA.questions.map((name) => element("li", {}, element("b", {}, QUESTIONS[name].title), ` ${QUESTIONS[name].text}`))),
      element("p", {}, "One of the sounds equals the reference that the first question names, and one the reference of the second: they earn 100 there. Use the whole scale. You can switch between all sounds while they play, as often as you like, and go back and change a rating."),
      element("p", {}, `It takes about ${minutes} minutes. The browser keeps your ratings, so you can close the page and continue later. At the end you save a small file and send it to whoever asked you. The page itself sends nothing.`),
      element("h3", {}, "Before you start"),
      element("p", {}, "Use headphones if you can, in a quiet place. Play these two sounds and set a comfortable volume; then leave it as it is."),
      references(first),
      element("p", { id: "trouble", class: "trouble" }),
      field("name", "Your name, if you like", element("input", { type: "text", maxLength: 80, autocomplete: "off" })),
      field("headphones", "You listen with", choice([["", "not said"], ["headphones", "headphones"], ["loudspeakers", "loudspeakers"], ["device", "the speaker of this device"]])),
      element("p", {}, element("button", { type: "button", class: "next", onclick: begin }, "Start"))));
  DECK.load([first.music, first.ambience]);
  DECK.onHeard = () => {};
  DECK.onChange = refresh;
  DECK.onTick = () => {};
}

function begin() {
  STATE.started_at = STATE.started_at || new Date().toISOString();
  show(0);
}

function drawEnd() {
  STATE.finished_at = STATE.finished_at || new Date().toISOString();
  keep();
  DECK.load([]);
  const text = element("textarea", { readOnly: true, rows: 6, "aria-label": "Answers as text" });
  text.value = answersText();
  const again = element("button", { type: "button", class: "plain", onclick: () => { startAgain(); show(-1); } }, "Start as another listener");
  again.hidden = true;
  const save = () => {
    saveFile();
    again.hidden = false;
    say("saved");
  };
  const comment = field("comment", "Anything you want to say", element("textarea", { rows: 3, maxLength: 2000 }));
  comment.addEventListener("input", () => { text.value = answersText(); });
  byId("screen").replaceChildren(
    element("section", { class: "card task", "aria-labelledby": "question" },
      element("h2", { id: "question", tabIndex: -1 }, "Thank you"),
      element("p", {}, "All ratings are there. Save the file with your answers, and send it to whoever asked you."),
      comment,
      element("p", { class: "buttons" }, element("button", { type: "button", class: "next", onclick: save }, "Save my answers"), again),
      element("details", {}, element("summary", {}, "No file appears?"), element("p", {}, "Copy this text, and send it instead."), text)),
    element("nav", { class: "steps-nav", "aria-label": "Steps" },
      element("button", { type: "button", class: "plain", onclick: () => show(N_STEPS - 1) }, "Back")));
}

function show(at) {
  DECK.pause();
  STATE.at = Math.min(Math.max(at, -1), N_STEPS);
  keep();
  if (STATE.at < 0) drawStart();
  else if (STATE.at < N_STEPS) drawTrial();
  else drawEnd();
  scrollTo(0, 0);
  byId("question").focus({ preventScroll: true });
}

function onKey(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("textarea, select, [type=text]")) return;
  if (key === " ") {
    if (target.closest("button, summary, a")) return;
    event.preventDefault();
    if (DECK.sounds.size) DECK.toggle();
    return;
  }
  const trial = STATE.at < N_STEPS ? trialAt(Math.max(STATE.at, 0)) : null;
  if (!trial) return;
  if (key === "1" || key === "2") DECK.choose(key === "1" ? trial.music : trial.ambience);
  const index = key.length === 1 ? key.toUpperCase().charCodeAt(0) - 65 : -1;
  if (STATE.at < 0 || !(index in trial.sounds)) return;
  event.preventDefault();
  DECK.choose(trial.sounds[index]);
  focusSlider(trial.sounds[index]);
}

document.addEventListener("keydown", onKey);
show(STATE.at);

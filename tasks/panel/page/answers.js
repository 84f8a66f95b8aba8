// What the listener has said so far. The browser keeps it, so that a closed page loses nothing.
const KEPT = `amnst-panel-${DATA.panel}`;

const randomHex = () => [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function newState() {
  return {
    listener: randomHex(), seed: crypto.getRandomValues(new Uint32Array(1))[0],
    name: "", headphones: "", comment: "", started_at: "", finished_at: "", at: -1, scores: {}, heard: {},
  };
}

function keptState() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT));
    return kept && Number.isInteger(kept.seed) && Number.isInteger(kept.at) ? { ...newState(), ...kept } : null;
  } catch {
    return null;
  }
}

let STATE = keptState() || newState();
let ORDER = orderFor(STATE.seed);

function keep() {
  try {
    localStorage.setItem(KEPT, JSON.stringify(STATE));
  } catch {
    // A browser that keeps nothing: the answers last as long as the page is open.
  }
}

function startAgain() {
  STATE = newState();
  ORDER = orderFor(STATE.seed);
  keep();
}

const N_STEPS = DATA.trials.length * DATA.questions.length;
const trialAt = (at) => ORDER[Math.floor(at / DATA.questions.length)];
const questionAt = (at) => DATA.questions[at % DATA.questions.length];

function scoresAt(at) {
  const key = `${trialAt(at).pair} ${questionAt(at)}`;
  STATE.scores[key] = STATE.scores[key] || {};
  return STATE.scores[key];
}

// Letters of the sounds that the listener has not rated, or not heard.
function missingAt(at) {
  const { sounds } = trialAt(at);
  const scores = scoresAt(at);
  return {
    unheard: sounds.filter((name) => !STATE.heard[name]),
    unrated: sounds.filter((name) => !(name in scores)),
  };
}

function answersText() {
  const answers = ORDER.flatMap((trial) => DATA.questions.map((question) => ({
    pair: trial.pair, question, scores: STATE.scores[`${trial.pair} ${question}`] || {},
  })));
  const { listener, seed, name, headphones, comment, started_at, finished_at } = STATE;
  return JSON.stringify({
    format: "amnst-panel-answers", version: 1, panel: DATA.panel,
    listener, seed, name, headphones, comment, started_at, finished_at, answers,
  }, null, 1);
}

function saveFile() {
  const link = element("a", { download: `answers-${STATE.listener}.json` });
  link.href = URL.createObjectURL(new Blob([answersText()], { type: "application/json" }));
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// What a listener sees in which order. The order follows from the seed, which the answers carry.
const DATA = JSON.parse(byId("data").textContent);
const QUESTIONS = {
  tune: {
    title: "Is the tune there?",
    text: "Compare with the music (1). How clearly can you follow its tune, harmony and rhythm? The kind of instrument does not matter.",
    ends: ["nothing of the tune", "as clear as in the music"],
  },
  material: {
    title: "Is it made of the ambience?",
    text: "Compare with the ambience (2). How much is what you hear made of the ambience itself? Instruments that play beside the ambience, or in front of it, are not made of it.",
    ends: ["not made of it at all", "made of nothing else"],
  },
  pleasant: {
    title: "Is it pleasant?",
    text: "How much do you like to listen to it? There is no right answer, and no reference.",
    ends: ["I want it to stop", "I want to hear more"],
  },
};
const WORDS = ["Bad", "Poor", "Fair", "Good", "Excellent"];
const wordFor = (score) => WORDS[Math.min(4, Math.floor(score / 20))];
const letterOf = (index) => String.fromCharCode(65 + index);

// Random numbers from a seed of 32 bits: "mulberry32" by T. Ettinger.
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled(items, random) {
  const found = [...items];
  for (let last = found.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [found[last], found[other]] = [found[other], found[last]];
  }
  return found;
}

function orderFor(seed) {
  const random = generator(seed);
  return shuffled(DATA.trials, random).map((trial) => ({ ...trial, sounds: shuffled(trial.sounds, random) }));
}

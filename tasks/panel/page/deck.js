// The sounds of a trial, of which one is heard. All share one position and start again at the end.
async function addressOf(name) {
  const url = `sounds/${name}.flac`;
  if (!location.protocol.startsWith("http")) return url;
  // A whole file can be played from any position, even if the server sends no parts of files.
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return URL.createObjectURL(await answer.blob());
}

class Sound {
  constructor(name, deck) {
    this.name = name;
    this.deck = deck;
    this.wanted = 0;
    this.audio = new Audio();
    this.audio.preload = "auto";
    this.audio.loop = true;
    this.audio.addEventListener("loadedmetadata", () => {
      this.place();
      deck.onTick();
    });
    this.audio.addEventListener("playing", () => deck.began(this));
    this.audio.addEventListener("timeupdate", () => deck.onTick());
    this.audio.addEventListener("error", () => this.audio.src && deck.broke(this));
    this.open();
  }

  async open() {
    try {
      const address = await addressOf(this.name);
      if (this.isClosed) return;
      this.audio.src = address;
      if (this.deck.isPlaying && this.deck.active === this) this.deck.start(this);
    } catch {
      this.deck.broke(this);
    }
  }

  close() {
    this.isClosed = true;
    this.audio.pause();
    if (this.audio.src.startsWith("blob:")) URL.revokeObjectURL(this.audio.src);
    this.audio.removeAttribute("src");
  }

  place(position = this.wanted) {
    this.wanted = position;
    if (this.audio.readyState >= 1 && Math.abs(this.audio.currentTime - position) > 0.01) this.audio.currentTime = position;
  }

  get position() {
    return this.audio.readyState < 1 ? this.wanted : this.audio.currentTime;
  }
}

class Deck {
  constructor() {
    this.sounds = new Map();
    this.onChange = () => {};
    this.onTick = () => {};
    this.onHeard = () => {};
    this.load([]);
  }

  // The sounds that are loaded already stay, with their position.
  load(names) {
    if (names.length && names.join() === [...this.sounds.keys()].join()) return;
    this.sounds.forEach((sound) => sound.close());
    this.sounds = new Map(names.map((name) => [name, new Sound(name, this)]));
    this.active = null;
    this.heard = null; // differs from `active` until the chosen sound has begun
    this.isPlaying = false;
    this.trouble = "";
  }

  get position() {
    return this.heard ? this.heard.position : 0;
  }

  get duration() {
    const known = [...this.sounds.values()].map((sound) => sound.audio.duration).filter(Number.isFinite);
    return known.length ? Math.min(...known) : 0;
  }

  // Play a sound from the position of the one before it.
  choose(name) {
    const next = this.sounds.get(name);
    if (!next) return;
    const { position } = this;
    if (this.active && this.active !== this.heard) this.active.audio.pause();
    if (next !== this.active) {
      this.active = next;
      next.place(position);
    }
    this.isPlaying = true;
    this.trouble = "";
    this.start(next);
    this.onChange();
  }

  start(sound) {
    if (!sound.audio.src) return; // `open` starts it
    sound.audio.play().catch((error) => {
      if (error.name !== "AbortError") this.broke(sound);
    });
  }

  // The old sound plays until the new one has begun, so that there is no gap.
  began(sound) {
    if (sound !== this.active || !this.isPlaying) return;
    this.sounds.forEach((other) => other !== sound && other.audio.pause());
    this.heard = sound;
    this.onHeard(sound.name);
    this.onChange();
  }

  pause() {
    this.isPlaying = false;
    this.sounds.forEach((sound) => sound.audio.pause());
    this.onChange();
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.choose((this.active || [...this.sounds.values()][0]).name);
  }

  seek(position) {
    const sound = this.active || [...this.sounds.values()][0];
    if (!this.active) this.active = sound;
    sound.place(position);
    if (!this.heard) this.heard = sound;
    else if (this.heard !== sound) this.heard.place(position);
    this.onTick();
  }

  broke(sound) {
    if (sound.isClosed || sound !== this.active) return;
    this.pause();
    this.trouble = "This sound cannot be played: its file is not there, or this browser does not play FLAC.";
    say(this.trouble);
    this.onChange();
  }
}

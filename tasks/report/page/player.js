// Three sounds, of which one is heard. All share one position: that of the result.
const TRACKS = [
  { key: "ambience", title: "Ambience", loops: true, lufs: "ambience_lufs" },
  { key: "music", title: "Music", loops: false, lufs: "music_lufs" },
  { key: "result", title: "Result", loops: false, lufs: "loudness_lufs" },
];

class Track {
  constructor(kind, player) {
    Object.assign(this, kind);
    this.audio = new Audio();
    this.audio.preload = "metadata";
    this.audio.loop = this.loops;
    this.player = player;
    this.audio.addEventListener("loadedmetadata", () => {
      this.isCopying = false;
      this.place();
    });
    this.audio.addEventListener("playing", () => player.began(this));
    this.audio.addEventListener("timeupdate", () => player.tick());
    this.audio.addEventListener("ended", () => player.ended(this));
    this.audio.addEventListener("error", () => this.url && player.broke(this));
  }

  load(row) {
    this.url = safeUrl(row[`${this.key}_url`]);
    this.isPreview = (row[`${this.key}_url`] || "").startsWith("listen/");
    this.offset = this.key === "music" && !this.isPreview ? row.start_s || 0 : 0;
    this.level = row[this.lufs];
    this.cycles = 0;
    this.last = 0;
    this.wanted = 0;
    this.isCopied = false;
    this.isCopying = false;
    if (this.url) this.audio.src = this.url;
    else this.audio.removeAttribute("src");
    this.audio.load();
  }

  get length() {
    return Number.isFinite(this.audio.duration) ? this.audio.duration : 0;
  }

  // Go to a position of the result; an ambience is repeated as often as it takes.
  place(position = this.wanted) {
    this.wanted = position;
    if (this.audio.readyState < 1) return;
    const local = this.loops && this.length ? position % this.length : this.offset + position;
    this.cycles = this.loops && this.length ? Math.floor(position / this.length) : 0;
    this.last = local;
    if (Math.abs(this.audio.currentTime - local) < 0.01) return;
    const { seekable } = this.audio;
    if (seekable.length && seekable.end(seekable.length - 1) > 0) this.audio.currentTime = local;
    else this.copy();
  }

  // Some simple web servers cannot send a part of a file: then the whole file is fetched first.
  async copy() {
    if (this.isCopied || !location.protocol.startsWith("http")) return;
    this.isCopied = true;
    this.isCopying = true;
    const from = this.url;
    const isHeard = !this.audio.paused;
    try {
      // Through the cache, it would wait for the player's own request, which stands still.
      const blob = await (await fetch(from, { cache: "no-store" })).blob();
      if (from !== this.url) return;
      this.audio.src = URL.createObjectURL(blob);
      if (isHeard) this.audio.play().catch(() => {});
    } catch {
      this.isCopying = false;
      this.player.broke(this);
    }
  }

  get position() {
    if (this.audio.readyState < 1 || this.isCopying) return this.wanted;
    const now = this.audio.currentTime;
    if (this.loops && now + 0.5 < this.last) this.cycles += 1;
    this.last = now;
    return this.loops ? this.cycles * this.length + now : now - this.offset;
  }
}

class Player {
  constructor(onChange) {
    this.onChange = onChange;
    this.tracks = TRACKS.map((kind) => new Track(kind, this));
    this.active = this.tracks[2];
    this.heard = this.active; // differs from `active` until the chosen sound has begun
    this.isPlaying = false;
    this.isLevelled = true;
    this.duration = 0;
    this.note = "";
  }

  load(row) {
    this.pause();
    this.duration = row.duration_s || 0;
    this.note = "";
    this.tracks.forEach((track) => track.load(row));
    if (!this.active.url) this.active = this.tracks.find((track) => track.url) || this.tracks[2];
    this.heard = this.active;
    this.active.audio.preload = "auto";
    this.level();
    this.onChange();
  }

  // Gains can only turn down, so the quietest sound sets the level.
  level() {
    const levels = this.tracks.filter((track) => track.url && track.level !== null).map((track) => track.level);
    const lowest = Math.min(...levels);
    for (const track of this.tracks) {
      const isKnown = this.isLevelled && track.url && track.level !== null && track.level !== undefined;
      track.gain = isKnown ? lowest - track.level : 0;
      track.audio.volume = Math.min(1, 10 ** (track.gain / 20));
    }
  }

  get position() {
    return Math.min(Math.max(this.heard.position, 0), this.duration || Infinity);
  }

  choose(index) {
    const next = this.tracks[index];
    if (!next.url) {
      say(`${next.title} cannot be played here`);
      return;
    }
    if (next === this.active) return;
    const { position } = this;
    if (this.active !== this.heard) this.active.audio.pause();
    this.active = next;
    this.note = "";
    next.place(position);
    if (this.isPlaying) this.start(next);
    else this.heard = next;
    say(next.title);
    this.onChange();
  }

  start(track) {
    track.audio.play().catch((error) => {
      if (error.name !== "AbortError") this.broke(track);
    });
  }

  // The old sound plays until the new one has begun, so that there is no gap.
  began(track) {
    if (track !== this.active) return;
    this.tracks.filter((other) => other !== track).forEach((other) => other.audio.pause());
    this.heard = track;
    this.onChange();
  }

  play() {
    if (!this.active.url) return;
    if (this.duration && this.position >= this.duration - 0.05) this.seek(0);
    this.isPlaying = true;
    this.start(this.active);
    this.onChange();
  }

  pause() {
    this.isPlaying = false;
    this.tracks.forEach((track) => track.audio.pause());
    this.onChange();
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  seek(position) {
    this.note = "";
    const at = Math.min(Math.max(position, 0), Math.max(this.duration - 0.02, 0));
    this.active.place(at);
    if (this.heard !== this.active) this.heard.place(at);
    this.onChange();
  }

  tick() {
    if (this.isPlaying && this.duration && this.position >= this.duration - 0.02) this.finish();
  }

  ended(track) {
    if (track !== this.active || !this.isPlaying) return;
    const isShort = track.isPreview && track.position < this.duration - 0.5;
    this.finish();
    if (isShort) this.tell(`The preview of the ${track.key} ends here.`);
  }

  finish() {
    this.pause();
    this.seek(0);
  }

  broke(track) {
    if (track !== this.active) return;
    this.pause();
    this.tell(`The ${track.key} cannot be played: the file is not there, or this browser does not play its format.`);
  }

  tell(text) {
    this.note = text;
    say(text);
    this.onChange();
  }
}

// The panel of one pair: what it sounds like, its player, its figures.
const PLAYER = new Player(() => PANEL.refresh());

const FIGURES = [
  ["content", "melody kept", "0 is the ambience, 1 the music"],
  ["chroma", "harmony", "on the scale of the melody kept"],
  ["onset_correlation", "rhythm", "on the scale of the melody kept"],
  ["spectrum", "spectrum", "on the scale of the melody kept"],
  ["texture", "ambience taken on", "0 is the music, 1 the ambience"],
  ["identity", "sounds like the ambience", "0 is the music's instruments, 1 the ambience"],
  ["carrier_db", "new carrier", "dB; low for a mix, which still has the music's own signal"],
  ["follow", "follows the music", "low for a mix, whose added sound does not follow the music"],
];

const PANEL = {
  row: null,
  cursors: [],

  show(row) {
    this.row = row;
    this.cursors = [];
    this.buttons = [];
    const panel = byId("pair");
    panel.replaceChildren(this.head(row), ...(isMade(row) ? this.made(row) : this.unmade(row)), this.origin(row));
    panel.scrollTop = 0;
    if (isMade(row)) PLAYER.load(row);
    else PLAYER.pause();
  },

  head(row) {
    const step = (text, by, label) => element("button", { type: "button", class: "quiet", "aria-label": label, onclick: () => go(by) }, text);
    return element("header", {},
      element("div", { class: "heading" },
        element("h2", { id: "pair-title", tabIndex: -1 }, row.name),
        element("span", { class: "steps" },
          step("↑", -1, "Previous pair"), step("↓", 1, "Next pair"),
          element("button", { type: "button", class: "quiet close", "aria-label": "Close the pair", onclick: closePair }, "✕"))),
      element("p", { class: "of" }, [`${nameOf(row.ambience) || "?"} plays ${nameOf(row.music) || "?"}`,
        row.strength === null ? "" : `strength ${number(row.strength)}`, row.preset && `preset ${row.preset}`].filter(Boolean).join(" · ")));
  },

  made(row) {
    const phrases = row.words.split("; ").filter(Boolean).map((phrase) => element("li", {}, phrase));
    return [
      element("div", { class: `words ${row.state}` },
        element("strong", {}, row.state === "meant" ? "Sounds as meant" : "To look at"),
        element("ul", {}, ...phrases)),
      this.player(row),
      this.figures(row),
    ];
  },

  unmade(row) {
    const ways = {
      failed: "Mend what the reason names, and run the same command again: only what is not finished is rendered.",
      invalid: "Correct this line of the manifest, and run the same command again.",
      not_run: "The run ended before this pair. Run the same command again: it continues here.",
      skipped: "The row is disabled, or other rows were asked for.",
    };
    const server = DATA.run_id && ["failed", "not_run"].includes(row.state);
    return [element("div", { class: `words ${row.state}` },
      element("strong", {}, `This pair ${STATES[row.state].long}`),
      row.error ? element("p", { class: "reason" }, row.error) : null,
      element("p", {}, ways[row.state] || ""),
      server ? element("p", {}, "If a server rendered it: ", element("code", {}, `amnst retry ${DATA.run_id}`)) : null)];
  },

  player(row) {
    const tracks = TRACKS.map((kind, index) => this.track(row, kind, index));
    this.time = element("output", { class: "time" });
    this.slider = element("input", {
      type: "range", min: 0, max: row.duration_s || 0, step: 0.01, value: 0, "aria-label": "Position in seconds",
      oninput: (event) => PLAYER.seek(Number(event.target.value)),
    });
    this.playing = element("button", { type: "button", class: "play", onclick: () => PLAYER.toggle() }, "Play");
    this.note = element("p", { class: "hint" });
    const level = element("input", {
      type: "checkbox", checked: PLAYER.isLevelled,
      onchange: (event) => {
        PLAYER.isLevelled = event.target.checked;
        PLAYER.level();
        PLAYER.onChange();
      },
    });
    return element("section", { class: "player", "aria-label": "Player" },
      element("div", { class: "transport" }, this.playing, this.slider, this.time),
      element("div", { class: "under" },
        element("label", {}, level, " at the same loudness"), this.note),
      ...tracks, axis(row.duration_s));
  },

  track(row, kind, index) {
    const url = row[`${kind.key}_url`];
    const file = kind.key === "result" ? decodeURIComponent(url).split("/").pop() : nameOf(row[kind.key]);
    const gain = element("span", { class: "gain" });
    const button = element("button", {
      type: "button", class: "choose", disabled: !url, "aria-pressed": "false", "data-track": kind.key,
      onclick: () => PLAYER.choose(index),
    }, element("kbd", {}, String(index + 1)), element("b", {}, kind.title), element("span", { class: "file", title: file }, file), gain);
    const cursor = element("i", { class: "cursor" });
    const picture = element("div", { class: `picture ${row.picture ? "" : "bare"}`, role: "img", "aria-label": `Waveform and mel of the ${kind.key}` }, cursor);
    const source = safeUrl(row.picture);
    if (source) {
      picture.style.backgroundImage = `url("${source.replace(/["\\]/g, encodeURIComponent)}")`;
      picture.style.backgroundPosition = `0 ${index * 50}%`;
    }
    picture.addEventListener("pointerdown", (event) => {
      const box = picture.getBoundingClientRect();
      if (PLAYER.active.key !== kind.key && url) PLAYER.choose(index);
      PLAYER.seek(((event.clientX - box.left) / box.width) * row.duration_s);
    });
    this.cursors.push({ cursor, picture });
    this.buttons.push({ button, gain });
    const bands = element("div", { class: "bands", "aria-hidden": "true" }, element("span", {}, "5k"), element("span", {}, "1k"), element("span", {}, "Hz"));
    return element("div", { class: "track" }, button, bands, picture);
  },

  figures(row) {
    const rows = FIGURES.map(([key, name, help]) =>
      element("tr", {}, element("th", { scope: "row" }, name), element("td", { class: "n" }, number(row[key])), element("td", {}, help)));
    return element("details", {}, element("summary", {}, "Figures"), element("table", { class: "figures" }, element("tbody", {}, ...rows)));
  },

  origin(row) {
    const loud = (value) => (value === null ? "" : `${number(value, 1)} LUFS`);
    const facts = [
      ["strength", number(row.strength)], ["preset", row.preset], ["start", row.start],
      ["steps", row.iterations], ["seed", row.seed],
      ["length", row.duration_s ? lasting(row.duration_s) : ""], ["sample rate", row.sample_rate ? `${row.sample_rate} Hz` : ""],
      ["loudness of the result", loud(row.loudness_lufs)], ["of the music", loud(row.music_lufs)], ["of the ambience", loud(row.ambience_lufs)],
      ["time to transfer", row.transfer_seconds ? `${row.transfer_seconds} s` : ""], ["time to invert", row.invert_seconds ? `${row.invert_seconds} s` : ""],
      ["failed stage", row.stage], ["error code", row.error_code],
      ["ambience", row.ambience], ["music", row.music], ["line of the manifest", row.line],
      ["worker", row.worker], ["reported at", row.ended_at],
      ["sha256 of the result", row.sha256], ["of the music", row.music_sha256], ["of the ambience", row.ambience_sha256], ["of the model", row.model_sha256],
    ].filter(([, value]) => value !== null && value !== undefined && value !== "");
    const listed = facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]);
    const files = [["result", row.result_url], ["how it was made", row.result_url && `${row.result_url}.json`]]
      .filter(([, url]) => safeUrl(url)).map(([name, url]) => element("a", { href: safeUrl(url) }, name));
    return element("details", { open: !isMade(row) }, element("summary", {}, isMade(row) ? "How it was made" : "The row"),
      element("dl", {}, ...listed), files.length ? element("p", { class: "files" }, "Files: ", ...files.flatMap((file, k) => (k ? [", ", file] : [file]))) : null);
  },

  refresh() {
    if (!this.row || !isMade(this.row) || !this.playing) return;
    this.playing.textContent = PLAYER.isPlaying ? "Pause" : "Play";
    this.note.textContent = PLAYER.note || (PLAYER.active.isPreview ? `A preview of the ${PLAYER.active.key}, at most 10 s.` : "");
    this.buttons.forEach(({ button, gain }, index) => {
      const track = PLAYER.tracks[index];
      button.setAttribute("aria-pressed", String(track === PLAYER.active));
      gain.textContent = !track.url ? "not linked" : track.gain < -0.05 ? `−${number(-track.gain, 1)} dB` : "";
    });
    this.move();
    if (PLAYER.isPlaying && !this.isMoving) {
      this.isMoving = true;
      requestAnimationFrame(() => this.run());
    }
  },

  run() {
    PLAYER.tick();
    this.move();
    this.isMoving = PLAYER.isPlaying;
    if (this.isMoving) requestAnimationFrame(() => this.run());
  },

  move() {
    const { position } = PLAYER;
    const duration = this.row.duration_s || 1;
    this.slider.value = position;
    this.slider.setAttribute("aria-valuetext", `${clock(position)} of ${clock(duration)}`);
    this.time.textContent = `${clock(position)} / ${clock(duration)}`;
    for (const { cursor, picture } of this.cursors) {
      cursor.style.transform = `translateX(${(position / duration) * picture.clientWidth}px)`;
    }
  },
};

// Ticks of the time axis, at round seconds.
function axis(duration) {
  const steps = [0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
  const step = steps.find((each) => duration / each <= 6) || 600;
  const ticks = [];
  for (let at = 0; at < duration - step * 0.3; at += step) {
    const label = duration < 60 ? `${Number(at.toFixed(1))}` : clock(at);
    const tick = element("span", {}, at === 0 && duration < 60 ? "0 s" : label);
    tick.style.left = `${(at / duration) * 100}%`;
    ticks.push(tick);
  }
  return element("div", { class: "axis", "aria-hidden": "true" }, ...ticks);
}

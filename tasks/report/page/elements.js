"use strict";

// Elements are built from text only: no value of a row is ever read as HTML.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") made.setAttribute(name, value);
    else made[name] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function drawing(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const byId = (id) => document.getElementById(id);

// A link leads to a file beside the page or to the web; anything else stays text.
function safeUrl(url) {
  if (!url) return "";
  let found;
  try {
    found = new URL(url, document.baseURI);
  } catch {
    return "";
  }
  const own = new URL(document.baseURI).protocol;
  return ["http:", "https:", own].includes(found.protocol) && found.protocol !== "javascript:"
    ? found.href : "";
}

function say(text) {
  byId("said").textContent = text;
}

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function lasting(seconds) {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${clock(seconds)} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const number = (value, digits = 2) => (value === null || value === undefined ? "" : value.toFixed(digits));
const counted = (n) => n.toLocaleString("en");
const plural = (n, word) => `${counted(n)} ${word}${n === 1 ? "" : "s"}`;
// A reason without the folders of the inputs that it names.
const briefly = (row) => [row.music, row.ambience].filter(Boolean)
  .reduce((text, place) => text.replaceAll(place, nameOf(place)), row.error || "");
const nameOf = (place) => (place || "").split(" + ").map((part) => part.split("/").pop()).join(" + ");

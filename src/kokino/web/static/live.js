// Keeps a page up to date: takes the panels that the server sends, counts times on, and posts what a button asks for.
// The page is whole without it. Nothing here makes HTML of what agents or alerts say: panels come escaped.

const root = document.documentElement;
const line = document.getElementById("line");
const clock = document.getElementById("clock");
const notice = document.getElementById("notice");

// --- panels -----------------------------------------------------------------------------------------------------

// Elements with an id are the same thing before and after, wherever they stand.
const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id : "");

function syncAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    // Whether it is unfolded is the reader's.
    if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

// Make `from` like `to`, touching only what differs: focus, selection, scrolling and typed text stay.
function morph(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  syncAttributes(from, to);
  morphChildren(from, to);
}

function morphChildren(from, to) {
  const keyed = new Map([...from.childNodes].filter(keyOf).map((node) => [keyOf(node), node]));
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const key = keyOf(wanted);
    let match = key ? keyed.get(key) : at && !keyOf(at) ? at : null;
    if (match && match.nodeName !== wanted.nodeName) match = null;
    if (!match) {
      from.insertBefore(wanted, at);
    } else {
      if (match === at) at = at.nextSibling;
      else from.insertBefore(match, at);
      morph(match, wanted);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function takePanel({ name, html }) {
  const panel = document.querySelector(`[data-panel="${name}"]`);
  if (!panel) return;
  // Scripts in a parsed document never run, and the page's policy forbids them besides.
  morphChildren(panel, new DOMParser().parseFromString(html, "text/html").body);
  const title = panel.querySelector("[data-title]");
  if (title) document.title = `${title.dataset.title} · Kokino`;
  countOn();
}

// --- time -------------------------------------------------------------------------------------------------------

// The broker's time runs on from the last time it was told: it need not be this machine's.
let told = { at: Date.parse(root.dataset.now), heard: performance.now() };
const now = () => told.at + (performance.now() - told.heard);
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"]];

// In the words of words.py.
function ago(seconds) {
  const size = Math.abs(seconds);
  if (size < 2) return "just now";
  const [unit, name] = UNITS.find(([length]) => size >= length) ?? [1, "s"];
  const count = `${Math.floor(size / unit)} ${name}`;
  return seconds > 0 ? `${count} ago` : `in ${count}`;
}

function lasted(seconds) {
  let left = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [unit, name] of UNITS) {
    if (left >= unit) parts.push(`${Math.floor(left / unit)} ${name}`);
    left %= unit;
  }
  if (left || !parts.length) parts.push(`${left} s`);
  return parts.slice(0, 2).join(" ");
}

const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };

function countOn() {
  const seconds = (iso) => Math.trunc((now() - Date.parse(iso)) / 1000);
  for (const hint of document.querySelectorAll("[data-ago]")) say(hint, ago(seconds(hint.dataset.ago)));
  for (const hint of document.querySelectorAll("[data-since]")) say(hint, lasted(seconds(hint.dataset.since)));
  const instant = new Date(now()).toISOString();
  clock.dateTime = instant;
  say(clock, instant.slice(11, 19));
}

// --- the stream -------------------------------------------------------------------------------------------------

const LINES = { on: "live", lost: "connection lost" };
// The server says something every second.
const SILENCE = 5000;
let stream = null;
let heard = 0;

function show(state) {
  line.dataset.line = state;
  say(line, LINES[state]);
}

function listen() {
  if (stream || document.hidden) return;
  heard = performance.now();
  stream = new EventSource(root.dataset.live);
  stream.addEventListener("panel", (event) => takePanel(JSON.parse(event.data)));
  stream.addEventListener("now", (event) => {
    heard = performance.now();
    told = { at: Date.parse(JSON.parse(event.data)), heard };
    show("on");
  });
  stream.addEventListener("error", () => show("lost"));
}

function hangUp() {
  stream?.close();
  stream = null;
}

// A hidden page asks for nothing; browsers allow few streams at a time.
function follow() {
  if (document.hidden) return hangUp();
  if (stream && performance.now() - heard > SILENCE) {
    show("lost");
    hangUp();
  }
  listen();
}

// --- buttons ----------------------------------------------------------------------------------------------------

const NAME = "kokino.name";

async function post(url, body, pressed) {
  pressed.disabled = true;
  notice.textContent = "";
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    if (!stream) location.reload();
  } catch (error) {
    notice.textContent = `That did not work: ${error.message}`;
  } finally {
    pressed.disabled = false;
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.post) return;
  event.preventDefault();
  const by = form.elements.by.value.trim();
  localStorage.setItem(NAME, by);
  post(form.dataset.post, by ? { by } : {}, form.querySelector("button"));
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-post]");
  if (button && confirm(button.dataset.confirm)) post(button.dataset.post, JSON.parse(button.dataset.body ?? "{}"), button);
});

document.addEventListener("focusin", ({ target }) => {
  if (target.name === "by" && !target.value) target.value = localStorage.getItem(NAME) ?? "";
});

root.classList.add("scripted");
countOn();
setInterval(countOn, 1000);
if (root.dataset.live) {
  follow();
  setInterval(follow, 1000);
  document.addEventListener("visibilitychange", follow);
}

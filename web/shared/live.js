// Keeps a page live: replaces regions by id as the stream sends them, and says so when the connection is lost.
//
// Rules: whatever stands outside the regions is never touched, so what was typed stays; a region under a finger waits
// until the finger is up, so no tap is lost; a server that was started anew is asked for the page again when nothing
// has been typed.

const lost = document.getElementById("lost");
const waiting = new Map();
const shown = new Map();
let touched = null;
let source = null;
let server = null;
let ahead = 0;
let heard = performance.now();

function complain(sentence) {
  lost.textContent = sentence ?? "";
  lost.hidden = !sentence;
  document.body.classList.toggle("is-lost", Boolean(sentence));
}

function put(id, html) {
  const region = document.getElementById(id);
  if (!region || shown.get(id) === html) return;
  shown.set(id, html);
  const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
  region.innerHTML = html;
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  region.dispatchEvent(new CustomEvent("live", { bubbles: true }));
}

function flush() {
  for (const [id, html] of [...waiting]) {
    if (touched && document.getElementById(id)?.contains(touched)) continue;
    waiting.delete(id);
    put(id, html);
  }
  tick();
}

function meet(message) {
  const { stream, now } = JSON.parse(message.data);
  heard = performance.now();
  ahead = now - heard / 1000;
  complain(null);
  if (server && server !== stream && !document.querySelector("[data-typed]")) location.reload();
  server = stream;
}

function connect(url) {
  source?.close();
  source = new EventSource(url);
  source.addEventListener("hello", meet);
  source.addEventListener("beat", meet);
  source.addEventListener("regions", (message) => {
    heard = performance.now();
    for (const [id, html] of Object.entries(JSON.parse(message.data))) waiting.set(id, html);
    flush();
  });
  source.addEventListener("error", () => {
    const refused = source.readyState === EventSource.CLOSED;
    complain(lost.dataset.lost);
    if (refused) ask(url);
    // Not all at once: a county full of pages may wait for a place.
    if (refused) setTimeout(connect, 2000 + 2000 * Math.random(), url);
  });
}

// A stream does not tell why it was refused: 503 is our own "no place", anything else comes from a proxy on the way.
async function ask(url) {
  const refused = source;
  const answer = await fetch(url, { method: "HEAD", cache: "no-store" }).catch(() => null);
  if (answer?.status === 503 && source === refused) complain(lost.dataset.full);
}

// A cable that is pulled ends no connection by itself: no word for three beats is a lost connection.
function listen(url) {
  if (performance.now() - heard < 45_000) return;
  heard = performance.now();
  complain(lost.dataset.lost);
  connect(url);
}

// `data-until` and `data-since` are seconds since the server started: a page's own clock may be wrong.
function tick() {
  if (!server) return;
  const now = performance.now() / 1000 + ahead;
  for (const node of document.querySelectorAll("[data-until]")) {
    const left = String(Math.max(0, Math.round(Number(node.dataset.until) - now)));
    if (node.textContent !== left) node.textContent = left;
  }
  for (const node of document.querySelectorAll("[data-since]")) {
    const minutes = String(Math.max(0, Math.floor((now - Number(node.dataset.since)) / 60)));
    if (node.textContent !== minutes) node.textContent = minutes;
  }
}

document.addEventListener("pointerdown", (event) => { touched = event.target; }, true);
for (const event of ["pointerup", "pointercancel"]) {
  // After the click that belongs to this pointer has gone out.
  document.addEventListener(event, () => setTimeout(() => { touched = null; flush(); }), true);
}
document.addEventListener("input", (event) => { event.target.form?.setAttribute("data-typed", ""); }, true);

const url = document.body.dataset.stream;
if (url) {
  // For whoever watches the screen: this page's script runs.
  document.body.dataset.live = "";
  connect(url);
  setInterval(listen, 5000, url);
  setInterval(tick, 500);
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) connect(url); });
}

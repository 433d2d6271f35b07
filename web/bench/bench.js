// Hands on the bench: a key goes down when it is touched and up when it is let go, so it can be held; so does a button.

const queues = new Map();
const held = new Set();

// One after the other for each part, so that what was let go last is let go; different keys do not wait for one another.
function move(part, way) {
  const turn = (queues.get(part) ?? Promise.resolve()).then(() => fetch(`/bench/${part}/${way}`, { method: "POST" }));
  queues.set(part, turn.catch(() => undefined));
}

function down(node, part, way) {
  if (held.has(part)) return;
  held.add(part);
  node.classList.add("is-down");
  move(part, way);
}

function up(node, part, way) {
  if (!held.delete(part)) return;
  node?.classList.remove("is-down");
  move(part, way);
}

function part(node) {
  return node.dataset.key ? [`key/${node.dataset.key}`, "down", "up"] : [node.dataset.hold, "on", "off"];
}

const fingers = new Map();
document.addEventListener("pointerdown", (event) => {
  const node = event.target.closest("[data-key], [data-hold]");
  if (!node) return;
  event.preventDefault();
  const [name, press] = part(node);
  fingers.set(event.pointerId, node);
  down(node, name, press);
});
for (const kind of ["pointerup", "pointercancel"]) {
  document.addEventListener(kind, (event) => {
    const node = fingers.get(event.pointerId);
    if (!node) return;
    fingers.delete(event.pointerId);
    const [name, , release] = part(node);
    up(node, name, release);
  });
}

const keyFor = (event) => document.querySelector(`[data-digit="${event.key}"]`);
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const node = /^[1-5]$/.test(event.key) ? keyFor(event) : null;
  if (node) down(node, `key/${node.dataset.key}`, "down");
});
document.addEventListener("keyup", (event) => {
  const node = /^[1-5]$/.test(event.key) ? keyFor(event) : null;
  if (node) up(node, `key/${node.dataset.key}`, "up");
});

// A window that loses the focus never hears that the finger came up.
window.addEventListener("blur", () => {
  for (const name of [...held]) {
    const key = name.startsWith("key/") ? document.querySelector(`[data-key="${name.slice(4)}"]`) : null;
    up(key, name, key ? "up" : "off");
  }
  fingers.clear();
});

document.addEventListener("click", (event) => {
  const node = event.target.closest("[data-move]");
  if (node) move(...node.dataset.move.split("/"));
});

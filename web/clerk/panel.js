// The clerk's touches: one-touch actions without leaving the page, page counts by + and −, and no form sent twice.

const refusal = document.getElementById("refusal");

function say(sentence) {
  refusal.textContent = sentence;
  refusal.hidden = !sentence;
}

async function act(form, button) {
  button.disabled = true;
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form)),
    });
    say((await answer.json()).sentence);
  } catch {
    say(document.getElementById("lost").dataset.lost);
  } finally {
    button.disabled = false;
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-act]")) {
    event.preventDefault();
    act(form, event.submitter);
  } else if (form.hasAttribute("data-sent")) {
    event.preventDefault();
  } else {
    form.setAttribute("data-sent", "");
  }
});

// A page that comes back from the browser's own store may be sent again; the form's number still counts once.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-sent]")) form.removeAttribute("data-sent");
});

document.addEventListener("click", (event) => {
  const step = event.target.closest("[data-step]");
  if (!step) return;
  const pages = document.getElementById(step.dataset.for);
  const count = Math.min(999, Math.max(0, (Number.parseInt(pages.value, 10) || 0) + Number(step.dataset.step)));
  pages.value = count ? String(count) : "";
  pages.dispatchEvent(new Event("input", { bubbles: true }));
});

document.querySelector(".wrong")?.scrollIntoView({ block: "nearest" });

// Taken back: what was counted for it goes with the tick.
document.addEventListener("change", (event) => {
  const { counts } = event.target.dataset;
  if (counts && !event.target.checked) document.getElementById(counts).value = "";
});

document.addEventListener("input", (event) => {
  const { tick, picks } = event.target.dataset;
  if (tick && event.target.value) document.getElementById(tick).checked = true;
  if (picks) document.querySelector(`[name=back][value=${picks}]`).checked = true;
});

// The page's script: copying, sending by keyboard, and what is new. Every view but a run's slider works without.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = "Selected: copy it";
    }
  });
}

const sql = document.getElementById("sql");
if (sql) {
  sql.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) sql.form.requestSubmit();
  });
}

const list = document.getElementById("list");
if (list && list.dataset.live) {
  new EventSource(list.dataset.live).addEventListener("message", async () => {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    // The page is this server's own, and what it says is escaped: a new piece is as harmless as the first.
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("list");
    if (fresh) document.getElementById("list").replaceChildren(...fresh.childNodes);
  });
}

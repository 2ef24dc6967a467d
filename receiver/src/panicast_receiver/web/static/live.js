// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps the page up to date: when a record comes, it is fetched anew and what has changed is put in place.
"use strict";

(() => {
  const SETTLE_MS = 800;
  const live = document.querySelector("[data-events]");
  const state = document.getElementById("live-state");
  if (!live || !state || !window.EventSource) return;

  let pending = 0;
  let timer = null;

  const say = (text, kind) => {
    state.textContent = text;
    state.dataset.kind = kind;
  };

  const keys = () => new Set([...document.querySelectorAll("[data-key]")].map((row) => row.dataset.key));

  const renew = async () => {
    timer = null;
    const came = pending;
    pending = 0;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) throw new Error(answer.statusText);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const before = keys();
      const focused = document.activeElement?.closest("[data-events] a")?.getAttribute("href");
      const fresh = page.querySelector("[data-events]");
      document.querySelector("[data-events]").replaceChildren(...fresh.childNodes);
      for (const row of document.querySelectorAll("[data-key]")) {
        if (!before.has(row.dataset.key)) row.classList.add("new");
      }
      if (focused) document.querySelector(`[data-events] a[href="${CSS.escape(focused)}"]`)?.focus();
      say(came === 1 ? "live: 1 record came" : `live: ${came} records came`, "on");
    } catch {
      say("live: cannot fetch the page; reload it", "off");
    }
  };

  const source = new EventSource(live.dataset.events);
  source.addEventListener("open", () => say("live", "on"));
  source.addEventListener("error", () => say("live: no connection, trying again", "off"));
  source.addEventListener("record", () => {
    pending += 1;
    timer ??= setTimeout(renew, SETTLE_MS);
  });
  addEventListener("pagehide", () => source.close());
})();

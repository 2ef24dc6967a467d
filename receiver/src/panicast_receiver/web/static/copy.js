// SPDX-License-Identifier: GPL-2.0-or-later
// Copies the text of a record, whole and as it arrived. Browsers let nobody copy on a page without TLS, except on
// this machine: there the button stays away, and the link beside it brings the same text.
"use strict";

(() => {
  const button = document.querySelector("button[data-copy]");
  const said = document.getElementById("copied");
  if (!button || !said || !navigator.clipboard) return;

  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      const answer = await fetch(button.dataset.copy);
      if (!answer.ok) throw new Error(answer.statusText);
      await navigator.clipboard.writeText(await answer.text());
      said.textContent = "copied";
    } catch {
      said.textContent = "cannot copy: take it as it arrived";
    }
  });
})();

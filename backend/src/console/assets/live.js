// Shows the page anew when a migration gets on. What has the focus, and how far one has read, stays.
"use strict";
let first = true;
new EventSource("/console/live").addEventListener("run", async () => {
  if (first) { first = false; return; }
  const answer = await fetch(location.href);
  if (!answer.ok || answer.redirected) { location.reload(); return; }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = page.getElementById("main");
  if (main) document.getElementById("main").replaceChildren(...main.childNodes);
});

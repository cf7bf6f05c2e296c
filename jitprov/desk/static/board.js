// Keeps a page fresh: asks for the same page again and exchanges the parts that changed. Without it the page works too.
"use strict";

(() => {
  const every = Number(document.body.dataset.refresh || 0);
  const away = document.getElementById("away");
  const announce = document.getElementById("announce");
  const ANNOUNCE_MS = 30_000;
  let announced = Date.now();
  let timer = 0;

  const zone = document.querySelector("input[name=zone]");
  if (zone) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";

  // What had the focus keeps it when its part is exchanged: found again by id, else by where it leads.
  function nameOf(element) {
    if (element.id) return `#${CSS.escape(element.id)}`;
    const href = element.getAttribute("href");
    return href ? `a[href="${CSS.escape(href)}"]` : null;
  }

  function exchange(fresh) {
    for (const held of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(held.id);
      if (!next || next.innerHTML === held.innerHTML) continue;
      const focused = held.contains(document.activeElement) ? nameOf(document.activeElement) : null;
      held.replaceChildren(...next.childNodes);
      if (focused) held.querySelector(focused)?.focus({ preventScroll: true });
    }
    document.title = fresh.title;
    const headline = document.querySelector("#headline h1")?.textContent;
    if (headline && Date.now() - announced > ANNOUNCE_MS && announce.textContent !== headline) {
      announce.textContent = headline;
      announced = Date.now();
    }
  }

  function tellAway(text) {
    if (away.hidden || away.textContent !== text) away.textContent = text;
    away.hidden = !text;
  }

  async function look() {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.redirected) return location.reload(); // the session is over
      if (answer.ok) {
        if ("away" in document.body.dataset) return location.reload();
        exchange(new DOMParser().parseFromString(await answer.text(), "text/html"));
        tellAway("");
      } else if (!("away" in document.body.dataset)) {
        tellAway(
          answer.status === 503
            ? "Redis does not answer. What is shown is from before; it comes again by itself."
            : `The receiver answered ${answer.status}. What is shown is from before.`,
        );
      }
    } catch {
      tellAway("The receiver cannot be reached. What is shown is from before; it comes again by itself.");
    }
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (every && !document.hidden) timer = setTimeout(look, every);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
  plan();
})();

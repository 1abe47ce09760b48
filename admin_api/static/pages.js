// What pages do beyond links and forms: refresh without losing one's place, keys, copying. All of it may be absent.
"use strict";
(() => {
  const EVERY = 5000;
  const live = () => document.getElementById("live");
  const rows = () => [...document.querySelectorAll("#live tr[data-key]")];
  let at = null;

  // Refreshing: put off while it would take something from under the reader's eyes or hands.
  function busy() {
    const here = live();
    if (!here || !here.hasAttribute("data-refresh")) return "none";
    if (document.hidden || !document.hasFocus()) return "the window is in the background";
    const focus = document.activeElement;
    if (focus && focus.matches("input:not([type=checkbox]), textarea, select")) return "you are typing";
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed) return "text is selected";
    if (here.querySelector("input[type=checkbox]:checked")) return "rows are ticked";
    if (document.querySelector("dialog[open]")) return "the list of keys is open";
    if (matchMedia("(hover: hover)").matches && here.querySelector("tbody:hover, .drawing:hover")) return "the pointer is over it";
    return "";
  }

  function tick() {
    const why = busy();
    if (why) say(why === "none" ? "" : "paused: " + why);
    else refresh(false);
  }

  // What stands at the top while what one sees is not from now.
  function say(text) {
    const pulse = document.getElementById("pulse");
    if (!pulse) return;
    pulse.hidden = !text;
    if (pulse.textContent !== text) pulse.textContent = text;
  }
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, () => say("the server does not answer; this is from before"));
  }

  function refresh(asked) {
    if (window.htmx && live()) window.htmx.trigger(live(), "refresh", { asked });
  }

  let kept = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id !== "live") return;
    // A page that failed keeps what it showed.
    if (event.detail.xhr.status >= 400) {
      event.detail.shouldSwap = false;
      say("the server answers " + event.detail.xhr.status + "; this is from before");
      return;
    }
    // What the reader began while the answer was on its way goes before it.
    const why = event.detail.requestConfig.triggeringEvent?.detail?.asked ? "" : busy();
    if (why) {
      event.detail.shouldSwap = false;
      say("paused: " + why);
      return;
    }
    say("");
    const focus = document.activeElement;
    kept = {
      open: [...live().querySelectorAll("details[open][id]")].map((one) => one.id),
      ticked: new Set([...live().querySelectorAll("input[name=id]:checked")].map((one) => one.value)),
      scrolled: [...live().querySelectorAll(".scroll, pre")].map((one) => [one.scrollLeft, one.scrollTop]),
      focus: focus && live().contains(focus) ? focus.id || focus.getAttribute("href") : null,
      y: window.scrollY,
    };
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (!kept) return;
    for (const id of kept.open) document.getElementById(id)?.setAttribute("open", "");
    for (const one of live().querySelectorAll("input[name=id]")) one.checked = kept.ticked.has(one.value);
    [...live().querySelectorAll(".scroll, pre")].forEach((one, n) => {
      if (kept.scrolled[n]) [one.scrollLeft, one.scrollTop] = kept.scrolled[n];
    });
    if (kept.focus) {
      const again = [...live().querySelectorAll("a, button, input, summary")]
        .find((one) => one.id === kept.focus || one.getAttribute("href") === kept.focus);
      again?.focus({ preventScroll: true });
    }
    if (window.scrollY !== kept.y) window.scrollTo(window.scrollX, kept.y);
    kept = null;
    mark(at, false);
    dress();
  });

  // Rows: j and k move, Enter opens, x ticks.
  function mark(key, scroll = true) {
    for (const row of rows()) {
      const is = row.dataset.key === key;
      row.classList.toggle("at", is);
      if (is && scroll) row.scrollIntoView({ block: "nearest" });
    }
  }
  function move(step) {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((row) => row.dataset.key === at);
    const next = now < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, now + step));
    at = all[next].dataset.key;
    mark(at);
  }
  const current = () => rows().find((row) => row.dataset.key === at);

  const GO = { o: "/", r: "/runs", d: "/dead", e: "/errors", q: "/queues", w: "/workers", s: "/schedules", a: "/audit" };
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input:not([type=checkbox]), textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    if (going && Date.now() - going < 1500 && GO[event.key]) { going = 0; window.location.assign(GO[event.key]); return; }
    going = 0;
    const keys = {
      "/": () => document.querySelector("[data-query]")?.focus(),
      "?": () => document.getElementById("keys")?.showModal(),
      j: () => move(1),
      k: () => move(-1),
      x: () => current()?.querySelector("input[type=checkbox]")?.click(),
      r: () => refresh(true),
      g: () => { going = Date.now(); },
      Enter: () => {
        // The button of a list of keys that was closed this instant has the focus still.
        const held = event.target.closest("a, button, summary, input");
        if (!held || held.closest("dialog:not([open])")) current()?.querySelector("a[href]")?.click();
      },
    };
    if (!keys[event.key]) return;
    if (event.key !== "Enter") event.preventDefault();
    keys[event.key]();
  });

  // Ticks: one for all of the page, and how many there are.
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) {
      for (const one of document.querySelectorAll("#live input[name=id]")) one.checked = event.target.checked;
    }
    if (event.target.matches("[data-all], #live input[name=id]")) tally();
  });
  function tally() {
    const ticked = document.querySelectorAll("#live input[name=id]:checked").length;
    for (const one of document.querySelectorAll("[data-all]")) one.checked = ticked > 0 && ticked === rows().length;
    for (const one of document.querySelectorAll("[data-ticked]")) {
      one.textContent = ticked ? ticked + " ticked" : "all that match";
    }
  }

  // What templates leave to us: buttons that only work with a script, and moments in the reader's own time.
  function dress() {
    for (const one of document.querySelectorAll("[data-copy]:not([data-dressed])")) {
      one.dataset.dressed = "";
      const text = one.textContent.trim();
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "copy";
      button.setAttribute("aria-label", "Copy: " + text);
      button.addEventListener("click", async () => {
        try { await navigator.clipboard.writeText(text); button.textContent = "copied"; } catch { button.textContent = "not copied"; }
        setTimeout(() => { button.textContent = "copy"; }, 1500);
      });
      one.append(button);
    }
    for (const one of document.querySelectorAll("time[datetime]:not([data-dressed])")) {
      one.dataset.dressed = "";
      const moment = new Date(one.dateTime);
      if (!Number.isNaN(moment.getTime())) one.title += "\n" + moment.toLocaleString() + " here";
    }
    for (const one of document.querySelectorAll("[data-tick-all]")) one.hidden = false;
    tally();
  }

  document.addEventListener("DOMContentLoaded", () => {
    dress();
    document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
    document.querySelector("form[data-send]")?.requestSubmit();
    if (live()?.hasAttribute("data-refresh")) setInterval(tick, EVERY);
    document.addEventListener("visibilitychange", tick);
  });
})();

// Keeps what is shown up to date. Every page works without this file; it only saves reloading.
"use strict";

(() => {
  const REFRESH_MS = 15000;

  // What somebody has ticked, chosen or written since the page was made, wherever the focus is now.
  const isEntered = (field) =>
    field.matches("select")
      ? field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected))
      : field.checked !== field.defaultChecked || field.value !== field.defaultValue;

  const isBusy = (live) =>
    live.querySelector("details[open], form[data-entering]") !== null ||
    [...live.querySelectorAll("input, select, textarea")].some(isEntered) ||
    (live.contains(document.activeElement) && document.activeElement.matches("input, select")) ||
    String(getSelection()) !== "";

  setInterval(() => {
    const live = document.getElementById("live");
    if (live && !document.hidden && !isBusy(live)) htmx.trigger(live, "possync:refresh");
  }, REFRESH_MS);

  // A request that was sent elsewhere was sent to the log-in: show that as a page, not inside of this one.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, requestConfig } = event.detail;
    const asked = new URL(requestConfig.path, location.href).pathname;
    if (xhr.responseURL && new URL(xhr.responseURL).pathname !== asked) {
      event.detail.shouldSwap = false;
      location.reload();
    }
  });

  // Whoever moves by keyboard stays where he is: what had the focus is found again by what it is and does.
  const marks = (one) => [one.tagName, one.getAttribute("href"), one.getAttribute("name"), one.textContent].join("|");
  let focused = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    const active = document.activeElement;
    focused = event.detail.target.contains(active) ? marks(active) : null;
  });
  document.addEventListener("htmx:afterSettle", () => {
    if (focused === null || document.activeElement !== document.body) return;
    const same = [...document.querySelectorAll("#live a, #live button, #live summary, #live [tabindex]")];
    same.find((one) => marks(one) === focused)?.focus({ preventScroll: true });
    focused = null;
  });

  // The title comes with what is asked for again; the icon stands in the head, which is not.
  document.addEventListener("htmx:afterSettle", () => {
    const shown = document.querySelector("#live [data-icon]");
    if (shown) document.querySelector('link[rel="icon"]').href = shown.dataset.icon;
  });

  document.addEventListener("click", (event) => {
    const dismiss = event.target.closest("[data-dismiss]");
    if (dismiss) dismiss.closest(".panel").remove();
  });
})();

"use strict";
// Before the first paint, so that a dark page never flashes white. Storage may be forbidden, and then the theme is not kept.
const Theme = (() => {
  const order = ["auto", "light", "dark"];
  let now = "auto";
  try { now = localStorage.getItem("tcm-eval-theme") || "auto"; } catch { now = "auto"; }
  function apply(theme) {
    now = order.includes(theme) ? theme : "auto";
    if (now === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = now;
    try { localStorage.setItem("tcm-eval-theme", now); } catch { /* not kept */ }
    const button = document.getElementById("theme");
    if (button) button.textContent = `Theme: ${now}`;
  }
  apply(now);
  return { next: () => apply(order[(order.indexOf(now) + 1) % order.length]), show: () => apply(now) };
})();

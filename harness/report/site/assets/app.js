"use strict";
// The address after # says what is shown, so that every view has a link, and the back button works.
const Router = (() => {
  const main = document.getElementById("main");
  const views = { "": boardView, run: runView, samples: samplesView, compare: compareView };
  let shown = null, view = null, round = 0;

  function read() {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
    const parts = path.split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
    return { path: parts, params: Object.fromEntries(new URLSearchParams(query || "")) };
  }

  function address(params) {
    const kept = Object.entries(params).filter(([, value]) => value !== "" && value !== undefined && value !== null);
    const path = location.hash.replace(/^#\/?/, "").split("?", 1)[0];
    const query = new URLSearchParams(kept).toString();
    return `#/${path}${query ? `?${query}` : ""}`;
  }

  async function show() {
    const route = read(), mine = ++round;
    const page = route.path[0] in views ? route.path[0] : "";
    const sameView = shown && shown.path.join("/") === route.path.join("/") && view && (!view.same || view.same(route.params));
    for (const a of document.querySelectorAll("nav a")) {
      if ((a.dataset.page === "compare") === (page === "compare")) a.setAttribute("aria-current", "page"); else a.removeAttribute("aria-current");
    }
    if (sameView) { shown = route; view.update(route.params); return; }
    const samePage = shown && shown.path.join("/") === route.path.join("/");
    if (view && view.leave) view.leave();
    view = null;
    shown = route;
    const active = document.activeElement, label = active && main.contains(active) ? active.getAttribute("aria-label") || active.textContent : null;
    try {
      const stage = samePage ? main : (main.replaceChildren(h("p", { class: "wait" }, "Loading …")), main);
      const made = await views[page](stage, route);
      if (mine === round) view = made || null;
      else if (made && made.leave) made.leave();
    } catch (error) {
      main.replaceChildren(h("h1", { tabindex: "-1" }, "This cannot be shown"), h("p", { class: "error" }, error.message), h("p", {}, h("a", { href: "#/" }, "To the leaderboard")));
    }
    if (samePage && label) {
      const again = [...main.querySelectorAll("select, button, input")].find((n) => (n.getAttribute("aria-label") || n.textContent).slice(0, 20) === label.slice(0, 20));
      if (again) again.focus();
    } else if (!samePage) {
      window.scrollTo(0, 0);
      const heading = main.querySelector("h1");
      if (heading) heading.focus({ preventScroll: true });
    }
  }

  window.addEventListener("hashchange", show);
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing && view && view.search) { event.preventDefault(); view.search(); }
  });
  document.getElementById("theme").addEventListener("click", Theme.next);
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
  Theme.show();
  queueMicrotask(show);

  return {
    go(params) { location.hash = address(params); },
    replace(params) { history.replaceState(null, "", address(params)); show(); },
  };
})();

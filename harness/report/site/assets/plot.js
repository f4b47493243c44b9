"use strict";
// Charts that answer the pointer. Vega draws them where the site was built with it; it is loaded after the page is there, and
// without it the still charts stay. It runs under the page's policy: expressions are interpreted (`ast`), nothing is evaluated.
const Plots = (() => {
  const INK = "var(--ink)", SOFT = "var(--soft)", LINE = "var(--line)", ACCENT = "var(--accent)", APART = "var(--odd)";
  let coming = null;

  function library() {
    coming = coming || new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = "vega.js";
      script.onload = () => (window.vegaEmbed ? resolve(window.vegaEmbed) : reject(new Error("vega.js is damaged")));
      script.onerror = () => reject(new Error("vega.js is missing"));
      document.head.append(script);
    });
    return coming;
  }

  const style = () => ({
    background: null, font: getComputedStyle(document.body).fontFamily, view: { stroke: null },
    axis: { labelColor: SOFT, titleColor: SOFT, gridColor: LINE, domainColor: LINE, tickColor: LINE, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 400 },
    text: { fill: SOFT, fontSize: 11 },
  });

  /** The `still` chart in a box, where Vega's takes its place when it has come. `spec()` describes that one. */
  function place(still, index, spec) {
    const box = h("div", { class: "plot" }, still);
    if (!index.charts) return box;
    const painted = (call) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(call, 0))); // the library must not hold up the page
    painted(async () => {
      const live = h("div", { class: "plot-live" });
      try {
        const embed = await library();
        if (!box.isConnected) return;
        box.append(live);
        const options = { mode: "vega-lite", actions: false, ast: true, renderer: "svg", logLevel: 1, defaultStyle: false, config: style(), tooltip: { disableDefaultStyle: true }, loader: { sanitize: () => Promise.reject(new Error("no address")) } };
        const { view } = await embed(live, spec(), options);
        view.addEventListener("click", (event, item) => { if (item && item.datum && item.datum.go) location.hash = item.datum.go; });
        still.hidden = true;
        box.classList.add("lively");
      } catch (error) {
        live.remove(); // the still chart says the same
        console.warn(error.message);
      }
    });
    return box;
  }

  const fine = () => matchMedia("(pointer: fine)").matches; // a finger that moves a chart could not move the page
  const zoom = (axes) => (fine() ? { params: [{ name: "zoom", bind: "scales", select: { type: "interval", encodings: axes, zoom: "wheel![event.shiftKey]" } }] } : {});
  const paint = { condition: { test: "datum.apart", value: APART }, value: ACCENT };
  const interval = (row) => (row.low === null || row.low === undefined ? "–" : `${number(row.low)} – ${number(row.high)}`);

  /** A label's beginning and end: names of one family differ at their ends. */
  const SHORT = (head, tail) => `length(datum.label) > ${head + tail + 1} ? slice(datum.label, 0, ${head}) + '…' + slice(datum.label, -${tail}) : datum.label`;

  /** Dots with intervals: `rows` as in `dots`, and `go`, where a click leads. */
  function dotted(title, rows) {
    const there = rows.filter(({ row }) => row && row.mean !== null && row.mean !== undefined);
    const values = there.map(({ label, row, apart, go }) => ({
      name: plain(label), mean: row.mean, low: row.low, high: row.high, interval: interval(row), n: row.n, chance: row.chance, apart: Boolean(apart), go: go || null,
    }));
    const narrow = innerWidth < 640;
    const y = { field: "name", type: "nominal", sort: null, title: null, axis: { labelExpr: narrow ? SHORT(8, 7) : SHORT(18, 15), labelLimit: 260, labelColor: INK, ticks: false, domain: false, labelPadding: 8 } };
    const x = { type: "quantitative", scale: { domain: [-0.015, 1.015], nice: false }, title: null, axis: { tickCount: narrow ? 3 : 6, format: ".2~f" } };
    const told = [{ field: "name", title: " " }, { field: "mean", title: "mean", format: ".3f" }, { field: "interval", title: "95% interval" }, { field: "n", title: "n", format: "," }];
    if (values.some((v) => typeof v.chance === "number")) told.push({ field: "chance", title: "guessing", format: ".3f" });
    return {
      description: `${title}: dots with 95% intervals`, data: { values }, width: "container", height: 26 * values.length, autosize: { type: "fit-x", contains: "padding" },
      layer: [
        { mark: { type: "tick", color: SOFT, thickness: 1, height: 18, strokeDash: [2, 2], clip: true }, encoding: { y, x: { field: "chance", ...x } } },
        { mark: { type: "rule", strokeWidth: 4, opacity: 0.45, strokeCap: "round", clip: true }, encoding: { y, x: { field: "low", ...x }, x2: { field: "high" }, color: paint, tooltip: told } },
        { ...zoom(["x"]), mark: { type: "point", size: 80, opacity: 1, clip: true, cursor: "pointer", strokeWidth: 2 },
          encoding: { y, x: { field: "mean", ...x }, stroke: paint, fill: { condition: { test: "datum.apart", value: "var(--card)" }, value: ACCENT }, tooltip: told } },
      ],
    };
  }

  /** What a score takes: `points` are {name, mark, x, row, apart, go}. */
  function scattered(title, points, xTitle, yTitle) {
    const values = points.map(({ name, mark, x, row, apart, go }) => ({ name: plain(name), mark, x, mean: row.mean, low: row.low, high: row.high, interval: interval(row), apart: Boolean(apart), go }));
    const x = { field: "x", type: "quantitative", scale: { type: "log", nice: false, padding: 30 }, title: xTitle, axis: { values: logSteps(points.map((p) => p.x)), labelOverlap: true, format: "~g" } };
    const y = { type: "quantitative", scale: { zero: false, padding: 8 }, title: yTitle };
    const told = [{ field: "name", title: " " }, { field: "mean", title: yTitle, format: ".3f" }, { field: "interval", title: "95% interval" }, { field: "x", title: xTitle, format: ".4~g" }];
    return {
      description: `${title}: ${yTitle} against ${xTitle}`, data: { values }, width: "container", height: 300, autosize: { type: "fit-x", contains: "padding" },
      layer: [
        { mark: { type: "rule", strokeWidth: 2, opacity: 0.45, clip: true }, encoding: { x, y: { field: "low", ...y }, y2: { field: "high" }, color: paint } },
        { ...zoom(["x", "y"]), mark: { type: "point", size: 90, opacity: 1, clip: true, cursor: "pointer", strokeWidth: 2 },
          encoding: { x, y: { field: "mean", ...y }, stroke: paint, fill: { condition: { test: "datum.apart", value: "var(--card)" }, value: ACCENT }, tooltip: told } },
        { mark: { type: "text", align: "left", dx: 9, clip: true }, encoding: { x, y: { field: "mean", ...y }, text: { field: "mark" } } },
      ],
    };
  }

  /** How a chart answers the pointer; shown once it does. */
  const hint = () => (fine() ? h("span", { class: "hint" }, " Point at a mark for its numbers; drag moves, Shift and wheel zoom, a double click resets.") : null);
  return { place, dotted, scattered, hint };
})();

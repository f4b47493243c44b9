"use strict";
// Dots with their intervals, and bars of parts. The numbers always stand beside them as text.

function track(row, chance) {
  const place = (value) => `${100 * Math.min(1, Math.max(0, value))}%`;
  const line = h("span", { class: "track", "aria-hidden": "true" });
  if (chance !== null && chance !== undefined) {
    const mark = h("i", { class: "chance" });
    mark.style.left = place(chance);
    line.append(mark);
  }
  if (!row || row.mean === null || row.mean === undefined) return line;
  if (row.low !== null && row.low !== undefined && row.high !== null && row.high !== undefined) {
    const bar = h("i", { class: "interval" });
    bar.style.left = place(row.low);
    bar.style.width = `${100 * Math.max(0.004, Math.min(1, row.high) - Math.max(0, row.low))}%`;
    line.append(bar);
  }
  const dot = h("i", { class: "dot" });
  dot.style.left = place(row.mean);
  line.append(dot);
  return line;
}

/** A chart of `rows`: {label, row: estimate, apart}; the scale runs from 0 to 1. `placed` puts the still chart where it belongs. */
function dots(title, rows, hint = null, placed = (still) => still) {
  const chances = rows.map((r) => r.row && r.row.chance).filter((c) => typeof c === "number");
  const note = chances.length ? "Dot: mean. Bar: 95% interval. Dashed line: guessing." : "Dot: mean. Bar: 95% interval.";
  return h("figure", { class: "dots" }, h("figcaption", {}, h("b", {}, title), " ", h("span", {}, note, hint)),
    placed(h("div", { class: "dot-rows" },
      rows.map(({ label, row, apart }) => h("div", { class: apart ? "dot-row apart" : "dot-row" },
        h("span", { class: "dot-label" }, label), track(row, row && row.chance), h("span", { class: "num" }, number(row && row.mean)))),
      h("div", { class: "dot-row axis", "aria-hidden": "true" }, h("span", {}),
        h("span", { class: "ticks" }, ["0", ".25", ".5", ".75", "1"].map((t) => h("span", {}, t))), h("span", {})))));
}

/** A bar whose parts are shares of a whole: `parts` are [name, count, class]. */
function parts(label, given) {
  const total = given.reduce((sum, [, count]) => sum + count, 0);
  const there = given.filter(([, count]) => count);
  return h("div", { class: "parts" },
    h("div", { class: "parts-bar", role: "img", "aria-label": `${label}: ${there.map(([n, c]) => `${c} ${n}`).join(", ")}` },
      there.map(([, count, kind]) => { const i = h("i", { class: kind }); i.style.flexGrow = count; return i; })),
    h("ul", { class: "key" }, there.map(([name, count, kind]) =>
      h("li", {}, h("i", { class: kind }), `${name} ${whole(count)} (${percent(count, total)})`))));
}

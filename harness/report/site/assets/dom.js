"use strict";
// Elements are made here and nowhere else. Text only ever becomes text nodes: what a model wrote is never markup.

// Characters that hide, reorder or command: C0 and C1 controls, invisible and direction marks, tags. Line feed and tab are text.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
const MARKED = 500; // so many are drawn as marks of their own in one text; the rest are written out

const CONTROLS = ("NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US").split(" ");

function nameOf(character) {
  const code = character.codePointAt(0);
  if (code < 0x20) return CONTROLS[code];
  if (code === 0x7f) return "DEL";
  return "U+" + code.toString(16).toUpperCase().padStart(4, "0");
}

/** The text with every hidden character written out: for attributes, titles and options. */
function plain(text) {
  return String(text).replace(HIDDEN, (c) => `⟨${nameOf(c)}⟩`);
}

/** The text as nodes, hidden characters as labelled marks. */
function visible(text) {
  const out = document.createDocumentFragment();
  const given = String(text);
  let from = 0, marks = 0;
  for (const found of given.matchAll(HIDDEN)) {
    if (++marks > MARKED) break;
    if (found.index > from) out.append(given.slice(from, found.index));
    const mark = document.createElement("span");
    mark.className = "hidden-char";
    mark.textContent = nameOf(found[0]);
    mark.title = "a hidden character, shown by its name";
    out.append(mark);
    from = found.index + found[0].length;
  }
  if (from < given.length) out.append(plain(given.slice(from)));
  return out;
}

function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : visible(child));
  }
  return node;
}

/** An element. `attributes` are ours; values are written out plainly; `on…` are listeners. */
function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = plain(value);
    else node.setAttribute(name, value === true ? "" : plain(value));
  }
  return add(node, children);
}

/** A name of a task or metric as nodes that a narrow column breaks behind its strokes, not within its words. */
function inParts(text) {
  return String(text).split(/(?<=[/_])/).map((part, i) => [i ? document.createElement("wbr") : null, part]);
}

/** A labelled select; `options` are [value, label] pairs. */
function choose(label, options, now, change) {
  const select = h("select", { "aria-label": label, onchange: (e) => change(e.target.value) },
    options.map(([value, text]) => h("option", { value, selected: value === now }, plain(text))));
  const long = options.some(([, text]) => text.length > 20);
  return h("label", { class: long ? "field long" : "field" }, h("span", {}, label), select);
}

const number = (value, digits = 3) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const whole = (value) => (value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en"));
const amount = (value, noun) => `${whole(value)} ${noun}${value === 1 ? "" : "s"}`;
const percent = (part, total) => (total ? `${((100 * part) / total).toFixed(1)}%` : "–");

function table(columns, rows, caption) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, columns.map((c, i) => h("th", { scope: "col", class: i ? "num" : null }, c)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, i) =>
        h(i ? "td" : "th", i ? { class: "num" } : { scope: "row" }, cell)))))));
}

// What every view is made of: elements, lists to choose from, tables, numbers in words.

// An element with attributes and children; text is always text, never markup.
const el = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) => filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

function choice(label, options, value, onchange) {
  const list = options.map(([key, text]) => el("option", { value: key, selected: String(key) === String(value) }, text));
  return el("label", {}, label, el("select", { name: label, onchange: (event) => onchange(event.target.value) }, list));
}

// A table in a box of its own, which scrolls where the screen is narrow. Heads are pairs of a text
// and a class.
function listing(caption, heads, rows) {
  const line = heads.map(([text, kind]) => el("th", { scope: "col", class: kind }, text));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, line)), el("tbody", {}, rows)));
}

const percent = (share, digits = 1) => (100 * share).toFixed(digits);
const distinct = (values) => [...new Set(values)].filter((value) => value !== null);
const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

// An address is model/suite/length/task/sample, cut off anywhere, with filters behind a question
// mark: everything that is on the screen stands in it, so that every view can be sent to somebody.
const PARTS = ["model", "suite", "length", "task", "sample"];

function parseRoute(hash) {
  const [path, query] = decodeURIComponent(hash.replace(/^#/, "")).split("?");
  const words = path.split("/").filter(Boolean);
  const route = Object.fromEntries(PARTS.map((part, place) => [part, words[place] ?? null]));
  route.filters = Object.fromEntries(new URLSearchParams(query ?? ""));
  return route;
}

function address(route, filters = route.filters) {
  const words = [];
  for (const part of PARTS) {
    if (route[part] === null || route[part] === undefined) break;
    words.push(route[part]);
  }
  const kept = Object.entries(filters ?? {}).filter(([, value]) => value !== "" && value != null);
  const query = kept.length ? "?" + new URLSearchParams(kept) : "";
  return "#" + words.join("/") + query;
}

const go = (route, filters) => { location.hash = address(route, filters); };

// An element with attributes and children; text is always text, never markup.
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

function choice(label, options, value, onchange) {
  const list = options.map(([key, text]) => el("option", { value: key, selected: String(key) === String(value) }, text));
  return el("label", {}, label, el("select", { onchange: (event) => onchange(event.target.value) }, list));
}

const percent = (share) => (100 * share).toFixed(1);

// Which view an address shows, where the focus is afterwards, and the keys.
const main = document.getElementById("main");
const home = document.getElementById("home");
let shownBefore = false;

function viewOf(index, route) {
  if (route.model === null) return route.filters.table || !index.pictures.length ? tablesView : picturesView;
  if (route.sample !== null) return sampleView;
  return listsSamples(route) ? samplesView : cellsView;
}

async function render(index) {
  const started = location.hash;
  const route = parseRoute(started);
  const problem = missing(index, route);
  const nodes = problem ? message(problem) : await viewOf(index, route)(index, route);
  if (location.hash !== started) return; // a newer address is being shown
  const held = heldControl();
  main.replaceChildren(...nodes.flat(Infinity).filter(Boolean));
  if (route.model === null && !problem) home.href = address(route);
  document.getElementById("trail").replaceChildren(...trail(route));
  document.getElementById("keys").textContent = keyed().map((node) => `${keyOf(node)} ${KEYS[keyOf(node)]}`).join(" \u00b7 ");
  document.title = titleOf(index, route);
  if (shownBefore) focusAgain(held);
  shownBefore = true;
}

function titleOf(index, route) {
  const table = route.model === null && route.filters.table ? tableOf(index, route) : null;
  const filters = Object.entries(route.filters).filter(([name]) => !["table", "show", "of"].includes(name)).map(([name, value]) => `${name} ${value}`);
  const words = [table && `${table.label}: ${table.title}`, ...PARTS.map((part) => route[part]), ...filters];
  return [...words.filter(Boolean), index.study, "needlework"].join(" / ");
}

// The links to the views above this one; the nearest of them, or the list that a sample was opened
// from, answers to `u`.
function trail(route) {
  const parts = PARTS.filter((part) => route[part] !== null);
  const links = parts.map((part, place) => {
    const upto = Object.fromEntries(parts.slice(0, place + 1).map((name) => [name, route[name]]));
    const filters = part === "task" || part === "sample" ? route.filters : {};
    return el("a", { href: address(upto, filters) }, part === "sample" ? `#${route[part]}` : route[part]);
  });
  home.removeAttribute("aria-keyshortcuts");
  const { of } = route.filters;
  if (of) links[partsOf(of).length].href = address(listOf(route));
  const isList = route.task === null && listsSamples(route);
  const above = of ? links[partsOf(of).length] : isList ? links.at(-1) : links[parts.length - 2];
  const nearest = route.task === null && !isList ? home : above;
  if (route.model !== null) nearest.setAttribute("aria-keyshortcuts", "u");
  if (!isList) links.at(-1)?.setAttribute("aria-current", "page");
  return links;
}

const keyOf = (node) => node.getAttribute("aria-keyshortcuts");
const nameOf = (node) => node.name || keyOf(node);

// The control of the view that has the focus, and the caret in it.
function heldControl() {
  const node = document.activeElement;
  return main.contains(node) ? { name: nameOf(node), caret: node.selectionStart ?? null, isField: node.matches("select, input") } : null;
}

// A list or box keeps the focus when what it chose is shown, and so does a link that steps on; on
// any other view the heading has it, which also tells a screen reader where one is.
function focusAgain(held) {
  const controls = [...main.querySelectorAll("select, input, a[aria-keyshortcuts]")];
  const same = held?.name ? controls.find((node) => nameOf(node) === held.name) : null;
  if (same) same.focus({ preventScroll: true });
  else focusHeading();
  if (same && held.caret !== null) same.setSelectionRange(held.caret, held.caret);
  if (!same || !held.isField) scrollTo(0, 0);
}

function focusHeading() {
  const heading = main.querySelector("h1");
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

// A key presses the control that names it, so only those work, and are announced, that are there.
const KEYS = { j: "next", k: "previous", u: "up", "/": "search" };
const keyed = () => Object.keys(KEYS).map((key) => document.querySelector(`[aria-keyshortcuts="${key}"]`)).filter(Boolean);

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input, select")) {
    leave(event);
    return;
  }
  const node = keyed().find((each) => keyOf(each) === event.key);
  if (!node) return;
  event.preventDefault();
  if (node.matches("input")) node.focus();
  else node.click();
}

// Escape leaves the search box with what was typed: browsers would empty it.
function leave(event) {
  if (event.key !== "Escape" || !event.target.matches("input")) return;
  event.preventDefault();
  focusHeading();
}

readIndex().then((index) => {
  addEventListener("hashchange", () => render(index));
  addEventListener("keydown", pressed);
  return render(index);
});

// Which view an address shows, and the keys.
let shownRoute = null;

async function render(index) {
  const route = parseRoute(location.hash);
  const known = route.model === null || index.byName.has(route.model);
  const view = !known ? unknownView
    : route.model === null ? tablesView
    : route.sample !== null ? sampleView
    : route.task !== null ? samplesView
    : cellsView;
  const started = location.hash;
  const nodes = await view(index, route);
  if (location.hash !== started) return; // a newer address is being shown
  document.getElementById("main").replaceChildren(...nodes.flat(Infinity).filter(Boolean));
  document.getElementById("trail").replaceChildren(...trail(route));
  document.title = ["needlework", index.study, ...PARTS.map((part) => route[part]).filter(Boolean)].join(" / ");
  shownRoute = route;
}

const unknownView = (index, route) => [el("h1", {}, "There is no such model"), el("p", {}, `${route.model} is not in study ${index.study}.`)];

function trail(route) {
  const parts = PARTS.filter((part) => route[part] !== null);
  return parts.map((part, place) => {
    const upto = Object.fromEntries(parts.slice(0, place + 1).map((name) => [name, route[name]]));
    return el("a", { href: address(upto, part === "task" || part === "sample" ? route.filters : {}) }, part === "sample" ? `#${route[part]}` : route[part]);
  });
}

function up(route) {
  const last = PARTS.filter((part) => route[part] !== null).pop();
  if (last) go({ ...route, [last]: null }, last === "sample" ? route.filters : {});
}

const KEYS = {
  j: () => document.getElementById("next")?.click(),
  k: () => document.getElementById("previous")?.click(),
  ArrowRight: () => document.getElementById("next")?.click(),
  ArrowLeft: () => document.getElementById("previous")?.click(),
  u: () => up(shownRoute),
  Escape: () => up(shownRoute),
  "/": () => document.getElementById("search")?.focus(),
};

function pressed(event) {
  const typing = event.target.matches("input, select");
  if (typing && event.key === "Escape") event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
}

readIndex().then((index) => {
  addEventListener("hashchange", () => render(index));
  addEventListener("keydown", pressed);
  return render(index);
});

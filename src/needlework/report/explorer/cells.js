// The cells behind a number: those of one model that pass the address and its filters.
// Those by one value, and those that list several for what no single value chooses.
const LISTS = { tasks: "task", lengths: "length" };
const CELL_FILTERS = ["task", "depth", "format", ...Object.keys(LISTS)];

function matching(index, route) {
  const asked = Object.entries(route.filters).filter(([name]) => CELL_FILTERS.includes(name));
  return index.cells.filter((cell) =>
    PARTS.slice(0, 4).every((part) => route[part] === null || String(cell[part]) === route[part]) &&
    asked.every(([name, value]) => LISTS[name] ? value.split(",").includes(String(cell[LISTS[name]])) : String(cell[name]) === value));
}

const taskTitle = (cell) => (cell.format ? `${cell.format}, depth ${cell.depth}` : cell.task);
const labelOf = (index, name) => index.byName.get(name)?.label ?? name;
const CELL_HEADS = [["task"], ["length", "number"], ["score (%)", "number"], ["on the scale from 0 to 100"], ["95 % interval", "number"], ["samples", "number"], ["failed", "number"]];

function cellsView(index, route) {
  const cells = matching(index, route);
  const mean = cells.reduce((sum, cell) => sum + cell.mean, 0) / cells.length;
  return [
    el("h1", {}, `${labelOf(index, route.model)}: ${counted(cells.length, "cell")}`),
    route.suite ? el("p", {}, `Mean of these cells: ${percent(mean, 2)} %.`) : null,
    el("p", {}, el("a", { href: address(route, { ...route.filters, show: "samples" }) }, `List their ${counted(cells.reduce((sum, cell) => sum + cell.count, 0), "sample")}`)),
    cellFilters(index, route),
    listing(`Cells of ${labelOf(index, route.model)}`, CELL_HEADS, cells.map(cellRow)),
  ];
}

function cellRow(cell) {
  const link = (text) => el("a", { href: address(cell, {}) }, text);
  return el("tr", {},
    el("th", { scope: "row" }, link(taskTitle(cell))),
    el("td", { class: "number" }, cell.length),
    el("td", { class: "number" }, link(percent(cell.mean))),
    el("td", {}, el("div", { class: "bar", "aria-hidden": "true" },
      el("i", { style: `left:${percent(cell.low)}%;width:${percent(cell.high - cell.low)}%` }),
      el("b", { style: `left:calc(${percent(cell.mean)}% - 1px)` }))),
    el("td", { class: "number" }, `${percent(cell.low)} to ${percent(cell.high)}`),
    el("td", { class: "number" }, cell.count),
    el("td", { class: cell.failed ? "number failed" : "number" }, cell.failed));
}

function cellFilters(index, route) {
  const own = index.cells.filter((cell) => cell.model === route.model && (route.suite === null || cell.suite === route.suite));
  const options = (name, cells = own) => [["", "all"], ...distinct(cells.map((cell) => cell[name])).map((value) => [value, value])];
  const move = (part) => (value) => go({ ...route, [part]: value || null });
  const filter = (name) => choice(name, options(name), route.filters[name] ?? "", (value) => go(route, { ...route.filters, [name]: value }));
  const suites = options("suite", index.cells.filter((cell) => cell.model === route.model));
  return el("form", {},
    choice("model", index.models.map((model) => [model.name, model.label]), route.model, move("model")),
    choice("suite", suites, route.suite ?? "", (value) => go({ model: route.model, suite: value || null, length: value ? route.length : null }, {})),
    route.suite ? choice("length", options("length"), route.length ?? "", move("length")) : null,
    route.suite && own.some((cell) => cell.depth !== null) ? [filter("depth"), filter("format")] : null,
    route.suite && own.some((cell) => cell.depth === null) ? filter("task") : null,
    Object.keys(LISTS).filter((name) => route.filters[name]).map((name) => choice(name, [["", "all"], [route.filters[name], "those of the table"]], route.filters[name], (value) => go(route, { ...route.filters, [name]: value }))));
}

// Samples, of one task or of all the cells that an address names, and how to step through them.
const A_PAGE = 200; // Rows shown at once.

// Whether an address with no task opens samples in place of cells.
const listsSamples = (route) => route.task !== null || route.filters.show === "samples";

// The list that a sample stands in: of its task, or of the cells that `of` names.
function listOf(route) {
  const { of, ...filters } = route.filters;
  if (route.sample === null) return route;
  if (!of) return { ...route, sample: null };
  const [suite = null, length = null] = partsOf(of);
  return { ...route, suite, length, task: null, sample: null, filters: { ...filters, show: "samples" } };
}

const partsOf = (of) => (of === "all" ? [] : of.split("/"));

// The address of one sample of a list, which remembers the list.
function sampleAddress(list, { cell, answer }) {
  const { show, page, ...filters } = list.filters;
  const of = list.task === null ? [list.suite, list.length].filter((part) => part !== null).join("/") || "all" : "";
  return address({ ...cell, sample: answer.index }, { ...filters, of });
}

async function samplesView(index, route) {
  const model = index.byName.get(route.model);
  const all = await samplesOf(index, route);
  const rows = passing(all, route.filters);
  const pages = Math.max(1, Math.ceil(rows.length / A_PAGE));
  const page = Math.min(Number(route.filters.page ?? 1), pages);
  const some = rows.slice((page - 1) * A_PAGE, page * A_PAGE);
  const samples = await referencesOf(model, some);
  const title = titleOfList(index, route);
  return [
    el("h1", {}, title),
    el("p", {}, told(index, route), ` ${counted(rows.length, "sample")} of ${all.length} shown${pages > 1 ? `, ${A_PAGE} on a page` : ""}.`),
    sampleFilters(index, route, all),
    pages > 1 ? el("p", {}, turn(route, page, pages, -1), ` \u00b7 page ${page} of ${pages} \u00b7 `, turn(route, page, pages, 1)) : null,
    rows.length
      ? [listing(`Samples of ${title}`, sampleHeads(index, route), some.map((row) => sampleRow(route, row, samples, index.byName.get(route.filters.with)))), stopNote()]
      : wayOut(route, all),
  ];
}

function titleOfList(index, route) {
  const { task, tasks, depth, format, lengths } = route.filters;
  const model = labelOf(index, route.model);
  if (route.task !== null) return `${model}, ${taskTitle(matching(index, route)[0])}, ${route.length} tokens`;
  const words = [route.suite ?? "all suites", task, tasks && `tasks ${tasks}`, format, depth && `depth ${depth}`];
  return [model, ...words.filter(Boolean), `${route.length ?? lengths ?? "all"} ${route.length || lengths ? "tokens" : "lengths"}`].join(", ");
}

// What tables and pictures say of the samples of an address; nothing is estimated here.
function told(index, route) {
  const cells = matching(index, route);
  const [cell] = cells;
  if (route.task !== null) return `Score ${percent(cell.mean)} % (${percent(cell.low)} to ${percent(cell.high)}), ${counted(cell.count, "sample")}, ${cell.failed} failed;`;
  const here = address(route, { ...route.filters, page: "" });
  const point = index.pictures.flatMap(pointsOf).find(({ target }) => address(parseRoute(target)) === here);
  const failed = cells.reduce((sum, each) => sum + each.failed, 0);
  return `${point ? `Score ${inWords(point)}. ` : ""}${counted(cells.length, "cell")}, ${failed} failed;`;
}

// The references of the samples of a page, by cell.
async function referencesOf(model, rows) {
  const cells = distinct(rows.map(({ cell }) => cell));
  return new Map(await Promise.all(cells.map(async (cell) => [cell, await dataset(model, cell.length, cell.task)])));
}

function turn(route, page, pages, by) {
  const [name, key] = by > 0 ? ["next page", "j"] : ["previous page", "k"];
  const there = page + by >= 1 && page + by <= pages;
  return there
    ? el("a", { "aria-keyshortcuts": key, href: address(route, { ...route.filters, page: String(page + by) }) }, name)
    : el("span", { class: "note" }, `no ${name}`);
}

function stopNote() {
  const words = Object.entries(STOPS).map(([stop, cause]) => `${stop}: ${cause}`);
  return el("p", { class: "note" }, `What stopped a model: ${words.join("; ")}.`);
}

// Columns that tell the cells of a list apart.
const apart = (route) => ["suite", "length", "task"].filter((part) => route[part] === null);

function sampleHeads(index, route) {
  const rival = index.byName.get(route.filters.with);
  return [["sample", "number"], ...apart(route).map((part) => [part, part === "length" ? "number" : undefined]),
    ["score (%)", "number"], ["answer"], ["tokens to the needle", "number"], ["stop"], ["prediction"], ["references"],
    ...(rival ? [[`score of ${rival.label} (%)`, "number"], [`prediction of ${rival.label}`]] : [])];
}

function sampleRow(route, { cell, answer, other }, samples, rival) {
  const link = (text) => el("a", { href: sampleAddress(route, { cell, answer }) }, text);
  const score = (one) => ({ class: one ? `number ${outcome(one)}` : "number" });
  return el("tr", {},
    el("th", { scope: "row", class: "number" }, link(`#${answer.index}`)),
    apart(route).map((part) => el("td", { class: part === "length" ? "number" : null }, part === "task" ? taskTitle(cell) : cell[part])),
    el("td", score(answer), link(scoreText(answer))),
    el("td", {}, answer.kind),
    el("td", { class: "number" }, answer.distance ?? ""),
    el("td", {}, answer.stop),
    el("td", { class: "text" }, written(answer)),
    el("td", { class: "text" }, samples.get(cell)[answer.index][1].join(", ")),
    rival ? [el("td", score(other), scoreText(other)), el("td", { class: "text" }, other ? written(other) : "")] : []);
}

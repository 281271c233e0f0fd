// Tables, the cells behind a number, and the samples of a cell.
function tablesView(index, route) {
  const number = Number(route.filters.table ?? index.tables[0]?.number);
  const table = index.tables.find((each) => each.number === number);
  const options = index.tables.map((each) => [each.number, `Table ${each.number}: ${each.title}`]);
  const pick = (value) => go({}, { table: value });
  return [
    el("h1", {}, `Study ${index.study}`),
    el("p", { class: "note" }, "Every number opens the cells behind it, every cell its samples. Bold: best of its column; underlined: training length."),
    el("form", {}, choice("table", options, number, pick)),
    table ? el("div", { class: "scroll" }, tableOf(table)) : null,
    index.notes.map((note) => el("p", { class: "note" }, note)),
  ];
}

function tableOf(table) {
  const number = ([mean, low, high, marks, target]) =>
    el("td", { class: ["number", ...marks].join(" "), title: `95 % interval ${low} to ${high}` },
      el("a", { href: "#" + target }, mean.toFixed(2)));
  return el("table", {},
    el("caption", {}, `Table ${table.number}. ${table.title}`),
    el("thead", {}, el("tr", {},
      table.heads.map((head) => el("th", {}, head)),
      table.columns.map((column) => el("th", { class: "number" }, column)))),
    el("tbody", {}, table.rows.map((row) =>
      el("tr", {}, row.heads.map((head) => el("th", { scope: "row" }, head)), row.cells.map(number)))));
}

function matching(index, route) {
  const { depth, format } = route.filters;
  return index.cells.filter((cell) =>
    cell.model === route.model &&
    (route.suite === null || cell.suite === route.suite) &&
    (route.length === null || String(cell.length) === route.length) &&
    (!depth || String(cell.depth) === depth) && (!format || cell.format === format));
}

const taskTitle = (cell) => (cell.format ? `${cell.format}, depth ${cell.depth}` : cell.task);

function cellsView(index, route) {
  const cells = matching(index, route);
  const row = (cell) => el("tr", {},
    el("td", {}, el("a", { href: address({ ...route, suite: cell.suite, length: cell.length, task: cell.task }, {}) }, taskTitle(cell))),
    el("td", { class: "number" }, cell.length),
    el("td", { class: "number" }, percent(cell.mean)),
    el("td", {}, el("div", { class: "bar", title: `${percent(cell.low)} to ${percent(cell.high)}` },
      el("i", { style: `left:${percent(cell.low)}%;width:${percent(cell.high - cell.low)}%` }),
      el("b", { style: `left:calc(${percent(cell.mean)}% - 1px)` }))),
    el("td", { class: "number" }, `${percent(cell.low)} to ${percent(cell.high)}`),
    el("td", { class: "number" }, cell.count),
    el("td", { class: cell.failed ? "number failed" : "number" }, cell.failed));
  const heads = ["task", "length", "score (%)", "", "95 % interval", "samples", "failed"];
  return [
    el("h1", {}, `${index.byName.get(route.model)?.label ?? route.model}: ${cells.length} cells`),
    cellFilters(index, route),
    cells.length ? null : el("p", {}, "No cell has this address; the study may not have measured it."),
    el("table", {}, el("thead", {}, el("tr", {}, heads.map((head) => el("th", {}, head)))), el("tbody", {}, cells.map(row))),
  ];
}

const distinct = (values) => [...new Set(values)].filter((value) => value !== null);

function cellFilters(index, route) {
  const own = index.cells.filter((cell) => cell.model === route.model);
  const options = (values) => [["", "all"], ...distinct(values).map((value) => [value, value])];
  const suite = route.suite ?? "";
  const move = (part) => (value) => go({ ...route, task: null, sample: null, [part]: value || null });
  const filter = (name) => (value) => go(route, { ...route.filters, [name]: value });
  return el("form", {},
    choice("model", index.models.map((model) => [model.name, model.label]), route.model, move("model")),
    choice("suite", options(own.map((cell) => cell.suite)), suite, (value) => go({ model: route.model, suite: value || null, length: value ? route.length : null }, {})),
    suite ? choice("length", options(own.filter((cell) => cell.suite === suite).map((cell) => cell.length)), route.length ?? "", move("length")) : null,
    suite === "depth" ? choice("depth", options(own.map((cell) => cell.depth)), route.filters.depth ?? "", filter("depth")) : null,
    suite === "depth" ? choice("format", options(own.map((cell) => cell.format)), route.filters.format ?? "", filter("format")) : null);
}

const outcome = (answer) =>
  answer.error !== null ? "failed" : answer.score === 1 ? "right" : answer.score > 0 ? "part" : "wrong";
const OUTCOMES = [["", "all"], ["right", "right"], ["wrong", "wrong"], ["part", "partly right"], ["failed", "failed"], ["differ", "differs from the other model"]];

// The samples of a cell that pass the filters, each with the other model's answer where one is chosen.
async function chosen(route) {
  const [mine, other] = await Promise.all([
    answers(route.model, route.suite, route.length, route.task),
    route.filters.with ? answers(route.filters.with, route.suite, route.length, route.task) : null,
  ]);
  const theirs = new Map((other ?? []).map((answer) => [answer.index, answer]));
  const { outcome: wanted, search } = route.filters;
  return (mine ?? []).map((answer) => ({ answer, other: theirs.get(answer.index) ?? null })).filter(({ answer, other: rival }) =>
    (!wanted || (wanted === "differ" ? rival !== null && rival.score !== answer.score : outcome(answer) === wanted)) &&
    (!search || answer.pred.toLowerCase().includes(search.toLowerCase())));
}

async function samplesView(index, route) {
  const model = index.byName.get(route.model);
  const [rows, samples] = await Promise.all([chosen(route), dataset(model, route.length, route.task)]);
  const rival = route.filters.with ? index.byName.get(route.filters.with) : null;
  const heads = ["sample", "score", "stop", "prediction", "references", ...(rival ? [`score of ${rival.label}`, `prediction of ${rival.label}`] : [])];
  const cell = index.cells.find((each) => each.model === route.model && each.task === route.task && String(each.length) === route.length);
  const line = ({ answer, other }) => el("tr", {},
    el("td", { class: "number" }, el("a", { href: address({ ...route, sample: answer.index }) }, `#${answer.index}`)),
    el("td", { class: `number ${outcome(answer)}` }, answer.score === null ? "failed" : percent(answer.score)),
    el("td", {}, answer.stop),
    el("td", { class: "text" }, answer.error ?? answer.pred),
    el("td", { class: "text" }, samples[answer.index][1].join(", ")),
    rival ? [
      el("td", { class: other ? `number ${outcome(other)}` : "number" }, !other || other.score === null ? "none" : percent(other.score)),
      el("td", { class: "text" }, other ? other.error ?? other.pred : ""),
    ] : []);
  return [
    el("h1", {}, `${model.label}, ${cell ? taskTitle(cell) : route.task}, ${route.length} tokens`),
    cell ? el("p", {}, `Score ${percent(cell.mean)} % (${percent(cell.low)} to ${percent(cell.high)}), ${cell.count} samples, ${cell.failed} failed; ${rows.length} shown.`) : null,
    sampleFilters(index, route),
    el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, heads.map((head) => el("th", {}, head)))), el("tbody", {}, rows.map(line)))),
  ];
}

function sampleFilters(index, route) {
  const prompts = index.byName.get(route.model).prompts;
  const rivals = index.models.filter((model) => model.prompts === prompts && model.name !== route.model);
  const peers = index.cells.filter((cell) => cell.model === route.model && cell.suite === route.suite && String(cell.length) === route.length);
  const lengths = distinct(index.cells.filter((cell) => cell.model === route.model && cell.task === route.task).map((cell) => cell.length));
  const move = (part) => (value) => go({ ...route, sample: null, [part]: value });
  const filter = (name) => (value) => go({ ...route, sample: null }, { ...route.filters, [name]: value });
  return el("form", { onsubmit: (event) => event.preventDefault() },
    choice("model", index.models.map((model) => [model.name, model.label]), route.model, move("model")),
    choice("length", lengths.map((length) => [length, length]), route.length, move("length")),
    choice("task", peers.map((cell) => [cell.task, taskTitle(cell)]), route.task, move("task")),
    choice("outcome", OUTCOMES, route.filters.outcome ?? "", filter("outcome")),
    choice("compare with", [["", "nobody"], ...rivals.map((model) => [model.name, model.label])], route.filters.with ?? "", filter("with")),
    el("label", {}, "search predictions", el("input", { id: "search", type: "search", value: route.filters.search ?? "", onchange: (event) => filter("search")(event.target.value) })));
}

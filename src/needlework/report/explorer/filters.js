// The lists that narrow what is shown: which cells, and which of their samples, with counts.

// The address of the samples of other cells. One task at one length is a path; all else is a list.
function goTo(route, change, filters = {}) {
  const next = { ...route, sample: null, ...change };
  const task = next.task ?? filters.task ?? null;
  const kept = { ...route.filters, ...filters, page: "", task: "" };
  if (next.suite && next.length && task) go({ ...next, task }, kept);
  else go({ ...next, task: null }, { ...kept, task, show: "samples" });
}

const NO_TASKS = { task: "", tasks: "", depth: "", format: "" };
const same = (values) => distinct(values).map((value) => [value, value]);

// Values to choose from: all, each, and several at once where an address lists them.
const values = (name, each, several) => [["", `all ${name}`], ...each, ...(several ? [[several, "the chosen ones"]] : [])];

function cellChoices(index, route) {
  const own = index.cells.filter((cell) => cell.model === route.model);
  const suite = own.filter((cell) => cell.suite === route.suite);
  const { task, lengths } = route.filters;
  const has = (name, length) => own.some((cell) => cell.suite === name && String(cell.length) === length);
  const toSuite = (name) => goTo(route, { suite: name || null, length: has(name, route.length) ? route.length : null, task: null }, { ...NO_TASKS, lengths: "" });
  const those = (route.suite === null ? own : suite).map((cell) => cell.length).sort((one, other) => one - other);
  return [
    choice("model", index.models.map((model) => [model.name, model.label]), route.model, (value) => goTo(route, { model: value }, { task })),
    choice("suite", values("suites", same(own.map((cell) => cell.suite))), route.suite ?? "", toSuite),
    choice("length", values("lengths", same(those), lengths), lengths ?? route.length ?? "", (value) => goTo(route, { length: value || null }, { task, lengths: "" })),
    suite.length ? taskChoices(route, suite) : null,
  ];
}

function taskChoices(route, suite) {
  const { task, tasks, depth, format } = route.filters;
  const there = suite.filter((cell) => route.length === null || String(cell.length) === route.length);
  const names = new Map(there.map((cell) => [cell.task, taskTitle(cell)]));
  const narrow = (name) => (value) => goTo(route, {}, { [name]: value, task: "", tasks: "" });
  const placed = route.task === null && suite.some((cell) => cell.depth !== null);
  return [
    choice("task", values("tasks", names, tasks), tasks ?? route.task ?? task ?? "", (value) => goTo(route, { task: null }, { ...NO_TASKS, task: value })),
    placed ? choice("depth", values("depths", same(suite.map((cell) => cell.depth))), depth ?? "", narrow("depth")) : null,
    placed ? choice("format", values("formats", same(suite.map((cell) => cell.format))), format ?? "", narrow("format")) : null,
  ];
}

// A list of values, each with how many samples choosing it would show.
function countedChoice(route, rows, name, each) {
  const others = passing(rows, { ...route.filters, [name]: "" });
  const options = each.map(([value, text]) => {
    const count = value ? others.filter(PASSES[name](value)).length : others.length;
    return [value, `${text} (${count})`];
  });
  return choice(name, options, route.filters[name] ?? "", (value) => go(route, { ...route.filters, [name]: value, page: "" }));
}

function sampleFilters(index, route, all) {
  const outcomes = OUTCOMES.filter(([key]) => key !== "differ" || route.filters.with);
  const asked = route.filters;
  const kinds = index.kinds.filter((kind) => kind === asked.kind || all.some((answer) => answer.answer.kind === kind));
  const ends = all.filter(({ answer }) => answer.distance !== null).map(({ answer }) => rangeEnd(answer.distance));
  const ranges = distinct([...ends, ...(asked.distance ? [asked.distance] : [])]).sort((one, other) => one - other);
  return el("form", { onsubmit: (event) => event.preventDefault() },
    cellChoices(index, route),
    countedChoice(route, all, "outcome", outcomes),
    countedChoice(route, all, "kind", [["", "all"], ...kinds.map((kind) => [kind, kind])]),
    ranges.length ? countedChoice(route, all, "distance", [["", "all"], ...ranges.map((end) => [end, rangeText(end)])]) : null,
    rivalChoice(index, route),
    el("label", {}, "search predictions and errors", searchBox(route)));
}

// Narrows the list with every letter, in one step of the browser's history: to wait until the box
// is left would move the list away under the pointer.
function searchBox(route) {
  const search = (event) => {
    if (!event.isComposing) location.replace(address(route, { ...route.filters, search: event.target.value, page: "" }));
  };
  return el("input", { name: "search", type: "search", "aria-keyshortcuts": "/", value: route.filters.search ?? "", oninput: search, oncompositionend: search });
}

// What to do where no sample passes: let all pass, or all that one filter less lets pass.
function wayOut(route, all) {
  const ways = Object.keys(PASSES).filter((name) => route.filters[name]).map((name) => {
    const filters = { ...route.filters, [name]: "" };
    return [address(route, filters), `${name} ${route.filters[name]} (${counted(passing(all, filters).length, "sample")})`];
  });
  const none = Object.fromEntries(Object.keys(PASSES).map((name) => [name, ""]));
  return [
    el("p", {}, "No sample passes these filters. ", el("a", { href: address(route, { ...route.filters, ...none, page: "" }) }, "Show all samples")),
    ways.length > 1 ? el("p", {}, "Or leave out ", ways.map(([href, text], place) => [place ? ", or " : "", el("a", { href }, text)]), ".") : null,
  ];
}

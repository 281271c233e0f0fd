// The samples of one cell, what a model made of them, and what another one did.
const OUTCOMES = [["", "all"], ["right", "right"], ["wrong", "wrong"], ["part", "partly right"], ["failed", "failed"], ["differ", "differs from the other model"]];
// What an answer is, by rule, and the ranges of the needle's distance from the question.
const KINDS = ["right", "partly right", "another needle", "elsewhere", "near miss", "invented", "no value", "repetition", "refusal or empty"];
const NEAREST = 64;

// The end of the range that a distance is in, in tokens: 64, 128, 256, ...
function rangeEnd(distance) {
  let end = NEAREST;
  while (end < distance) end *= 2;
  return String(end);
}

const STOPS = {
  end: "its end token",
  limit: "the token limit",
  decided: "the score, which no further token could change",
  thinking: "its thoughts, which never ended",
  failed: "a failure",
};

const outcome = (answer) =>
  answer.error !== null ? "failed" : answer.score === 1 ? "right" : answer.score > 0 ? "part" : "wrong";
const scoreText = (answer) => (!answer ? "none" : answer.score === null ? "failed" : percent(answer.score));
const written = (answer) => answer.error ?? answer.pred;

// The samples of a cell that pass the filters, each with the other model's answer where one is chosen.
async function chosen(route) {
  const [mine, other] = await Promise.all([
    answers(route.model, route.suite, route.length, route.task),
    route.filters.with ? answers(route.filters.with, route.suite, route.length, route.task) : null,
  ]);
  const theirs = new Map((other ?? []).map((answer) => [answer.index, answer]));
  const { outcome: wanted, kind, distance, search } = route.filters;
  return mine.map((answer) => ({ answer, other: theirs.get(answer.index) ?? null })).filter(({ answer, other: rival }) =>
    (!wanted || (wanted === "differ" ? rival !== null && rival.score !== answer.score : outcome(answer) === wanted)) &&
    (!kind || answer.kind === kind) &&
    (!distance || (answer.distance !== null && rangeEnd(answer.distance) === distance)) &&
    (!search || written(answer).toLowerCase().includes(search.toLowerCase())));
}

async function samplesView(index, route) {
  const model = index.byName.get(route.model);
  const [rows, samples, all] = await Promise.all([
    chosen(route),
    dataset(model, route.length, route.task),
    answers(route.model, route.suite, route.length, route.task),
  ]);
  const cell = index.cells.find((each) => PARTS.slice(0, 4).every((part) => String(each[part]) === route[part]));
  const title = `${model.label}, ${taskTitle(cell)}, ${route.length} tokens`;
  const rival = index.byName.get(route.filters.with);
  const heads = [["sample", "number"], ["score (%)", "number"], ["answer"], ["tokens to the needle", "number"], ["stop"], ["prediction"], ["references"],
    ...(rival ? [[`score of ${rival.label} (%)`, "number"], [`prediction of ${rival.label}`]] : [])];
  return [
    el("h1", {}, title),
    el("p", {}, `Score ${percent(cell.mean)} % (${percent(cell.low)} to ${percent(cell.high)}), ${counted(cell.count, "sample")}, ${cell.failed} failed; ${rows.length} shown.`),
    sampleFilters(index, route, all),
    rows.length
      ? [listing(`Samples of ${title}`, heads, rows.map((row) => sampleRow(route, row, samples, rival))), stopNote()]
      : el("p", {}, "No sample passes these filters. ", el("a", { href: address(route, {}) }, "Show all samples")),
  ];
}

function stopNote() {
  const words = Object.entries(STOPS).map(([stop, cause]) => `${stop}: ${cause}`);
  return el("p", { class: "note" }, `What stopped a model: ${words.join("; ")}.`);
}

function sampleRow(route, { answer, other }, samples, rival) {
  const link = (text) => el("a", { href: address({ ...route, sample: answer.index }) }, text);
  const score = (one) => ({ class: one ? `number ${outcome(one)}` : "number" });
  return el("tr", {},
    el("th", { scope: "row", class: "number" }, link(`#${answer.index}`)),
    el("td", score(answer), link(scoreText(answer))),
    el("td", {}, answer.kind),
    el("td", { class: "number" }, answer.distance ?? ""),
    el("td", {}, answer.stop),
    el("td", { class: "text" }, written(answer)),
    el("td", { class: "text" }, samples[answer.index][1].join(", ")),
    rival ? [el("td", score(other), scoreText(other)), el("td", { class: "text" }, other ? written(other) : "")] : []);
}

// The models that answered the same samples.
const rivals = (index, route) => {
  const prompts = index.byName.get(route.model).prompts;
  return index.models.filter((model) => model.prompts === prompts && model.name !== route.model);
};

function rivalChoice(index, route) {
  const options = [["", "nobody"], ...rivals(index, route).map((model) => [model.name, model.label])];
  return choice("compare with", options, route.filters.with ?? "", (value) => go(route, { ...route.filters, with: value }));
}

function sampleFilters(index, route, all) {
  const peers = index.cells.filter((cell) => cell.model === route.model && cell.suite === route.suite && String(cell.length) === route.length);
  const lengths = distinct(index.cells.filter((cell) => cell.model === route.model && cell.task === route.task).map((cell) => cell.length));
  const outcomes = OUTCOMES.filter(([key]) => key !== "differ" || route.filters.with);
  const move = (part) => (value) => go({ ...route, [part]: value });
  const filter = (name) => (value) => go(route, { ...route.filters, [name]: value });
  const kinds = KINDS.filter((kind) => all.some((answer) => answer.kind === kind));
  const ends = distinct(all.map((answer) => answer.distance)).map(rangeEnd);
  const ranges = distinct(ends).sort((one, other) => one - other);
  return el("form", { onsubmit: (event) => event.preventDefault() },
    choice("model", index.models.map((model) => [model.name, model.label]), route.model, move("model")),
    choice("length", lengths.map((length) => [length, length]), route.length, move("length")),
    choice("task", peers.map((cell) => [cell.task, taskTitle(cell)]), route.task, move("task")),
    choice("outcome", outcomes, route.filters.outcome ?? "", filter("outcome")),
    choice("kind", [["", "all"], ...kinds.map((kind) => [kind, kind])], route.filters.kind ?? "", filter("kind")),
    ranges.length ? choice("distance", [["", "all"], ...ranges.map((end) => [end, `${Number(end) === NEAREST ? 0 : Number(end) / 2 + 1} to ${end} tokens`])], route.filters.distance ?? "", filter("distance")) : null,
    rivalChoice(index, route),
    el("label", {}, "search predictions and errors", searchBox(route)));
}

// Narrows the list with every letter, in one step of the browser's history: to wait until the box
// is left would move the list away under the pointer.
function searchBox(route) {
  const search = (event) => {
    if (!event.isComposing) location.replace(address(route, { ...route.filters, search: event.target.value }));
  };
  return el("input", { name: "search", type: "search", "aria-keyshortcuts": "/", value: route.filters.search ?? "", oninput: search, oncompositionend: search });
}

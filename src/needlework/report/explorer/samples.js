// The samples of one cell, what a model made of them, and what another one did.
const OUTCOMES = [["", "all"], ["right", "right"], ["wrong", "wrong"], ["part", "partly right"], ["failed", "failed"], ["differ", "differs from the other model"]];
// The ranges of the needle's distance from the question.
const NEAREST = 64;

// The end of the range that a distance is in, in tokens: 64, 128, 256, ...
function rangeEnd(distance) {
  let end = NEAREST;
  while (end < distance) end *= 2;
  return String(end);
}

const rangeText = (end) => `${Number(end) === NEAREST ? 0 : Number(end) / 2 + 1} to ${end} tokens`;

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

// What each filter of samples lets pass.
const PASSES = {
  outcome: (wanted) => ({ answer, other }) => (wanted === "differ" ? other !== null && other.score !== answer.score : outcome(answer) === wanted),
  kind: (wanted) => ({ answer }) => answer.kind === wanted,
  distance: (wanted) => ({ answer }) => answer.distance !== null && rangeEnd(answer.distance) === wanted,
  search: (wanted) => ({ answer }) => written(answer).toLowerCase().includes(wanted.toLowerCase()),
};

function passing(rows, filters) {
  const tests = Object.keys(PASSES).filter((name) => filters[name]).map((name) => PASSES[name](filters[name]));
  return rows.filter((row) => tests.every((test) => test(row)));
}

// The samples of all the cells of a list, each with the other model's answer where one is chosen.
async function samplesOf(index, list) {
  const rows = await Promise.all(matching(index, list).map(async (cell) => {
    const [mine, other] = await Promise.all([list.model, list.filters.with].map((model) => (model ? answers(model, cell.suite, cell.length, cell.task) : null)));
    const theirs = new Map((other ?? []).map((answer) => [answer.index, answer]));
    return (mine ?? []).map((answer) => ({ cell, answer, other: theirs.get(answer.index) ?? null }));
  }));
  return rows.flat();
}

// The models that answered the same samples.
const rivals = (index, route) => {
  const prompts = index.byName.get(route.model).prompts;
  return index.models.filter((model) => model.prompts === prompts && model.name !== route.model);
};

function rivalChoice(index, route) {
  const options = [["", "nobody"], ...rivals(index, route).map((model) => [model.name, model.label])];
  return choice("compare with", options, route.filters.with ?? "", (value) => go(route, { ...route.filters, with: value, page: "" }));
}

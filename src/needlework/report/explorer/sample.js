// One sample: its prompt with needle and question set off, and what one or two models made of it.
async function sampleView(index, route) {
  const model = index.byName.get(route.model);
  const number = Number(route.sample);
  const [rows, samples] = await Promise.all([chosen(route), dataset(model, route.length, route.task)]);
  const all = await answers(route.model, route.suite, route.length, route.task);
  const answer = all?.find((each) => each.index === number);
  if (!answer || !samples?.[number]) return [el("h1", {}, "There is no such sample"), el("p", {}, address(route))];
  const [pieces, references, tokens, characters] = samples[number];
  const place = rows.findIndex((row) => row.answer.index === number);
  const rivals = index.models.filter((each) => each.prompts === model.prompts && each.name !== model.name);
  return [
    el("h1", {}, `Sample ${number}: ${route.task}, ${route.length} tokens`),
    el("form", {},
      choice("model", index.models.map((each) => [each.name, each.label]), route.model, (value) => go({ ...route, model: value })),
      choice("compare with", [["", "nobody"], ...rivals.map((each) => [each.name, each.label])], route.filters.with ?? "", (value) => go(route, { ...route.filters, with: value }))),
    el("p", {}, step(route, rows, place, -1, "previous"), " \u00b7 ", step(route, rows, place, 1, "next")),
    el("h2", {}, `Prompt: ${tokens} tokens, ${characters} characters`),
    el("div", { class: "prompt" }, pieces.map((piece) => shown(piece, tokens / characters))),
    el("h2", {}, "References"),
    el("p", {}, references.join(", ")),
    el("div", { class: "sides" },
      side(model, answer, references),
      route.filters.with ? await rivalSide(index, route, number, references) : null),
  ];
}

function step(route, rows, place, by, name) {
  const target = place < 0 ? null : rows[place + by];
  return target
    ? el("a", { id: name, href: address({ ...route, sample: target.answer.index }) }, `${name} (#${target.answer.index})`)
    : el("span", { class: "note" }, `no ${name}`);
}

function shown([kind, content, depth, start], tokensPerCharacter) {
  if (kind === "fold") return el("span", { class: "fold" }, `${content.toLocaleString("en")} characters of hay`);
  if (kind === "hay") return el("span", { class: "hay" }, content);
  if (kind === "question") return el("mark", { class: "question" }, content);
  const token = Math.round(start * tokensPerCharacter);
  return el("mark", { class: kind }, content, el("small", {}, `depth ${depth} %, about token ${token}`));
}

async function rivalSide(index, route, number, references) {
  const rival = index.byName.get(route.filters.with);
  const rows = await answers(rival.name, route.suite, route.length, route.task);
  const answer = rows?.find((each) => each.index === number);
  return answer ? side(rival, answer, references) : el("section", {}, el("h2", {}, rival.label), el("p", {}, "has not answered this sample."));
}

function side(model, answer, references) {
  const facts = [
    ["score", el("span", { class: outcome(answer) }, answer.score === null ? "failed" : `${percent(answer.score)} %`)],
    ["stopped by", { end: "its end token", limit: "the token limit", decided: "the score, which was decided", failed: "a failure" }[answer.stop] ?? answer.stop],
    ["tokens read", `${answer.prompt}, of which ${answer.shared} were shared with other samples`],
    ["tokens written", answer.generated],
  ];
  return el("section", {},
    el("h2", {}, model.label),
    el("p", { class: "prompt" }, answer.error ?? (answer.pred ? found(answer.pred, references) : "(nothing)")),
    el("dl", {}, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}

// The prediction with every reference in it set off, as RULER's scoring finds them: ignoring case.
function found(text, references) {
  const escaped = references.filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`(${escaped.join("|")})`, "i");
  return text.split(pattern).map((part, place) => (place % 2 ? el("mark", { class: "needle" }, part) : part));
}

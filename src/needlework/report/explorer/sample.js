// One sample: its prompt with needle and question set off, and what one or two models made of it.
async function sampleView(index, route) {
  const model = index.byName.get(route.model);
  const list = listOf(route);
  const [all, samples, mine] = await Promise.all([
    samplesOf(index, list),
    dataset(model, route.length, route.task),
    answers(route.model, route.suite, route.length, route.task),
  ]);
  const answer = mine.find((each) => String(each.index) === route.sample);
  if (!answer) {
    const sentence = `There is no sample ${route.sample} of ${model.label}, ${route.task}, ${route.length} tokens.`;
    return message(sentence, [address({ ...route, sample: null }, {}), "Show all samples"]);
  }
  const sample = samples[answer.index];
  const [, references, tokens] = sample;
  const rows = passing(all, list.filters);
  const place = rows.findIndex((row) => sampleAddress(list, row) === address(route));
  return [
    el("h1", {}, `Sample ${route.sample} of ${model.label}: ${route.task}, ${route.length} tokens`),
    el("form", {},
      choice("model", index.models.map((each) => [each.name, each.label]), route.model, (value) => go({ ...route, model: value })),
      rivalChoice(index, route)),
    el("p", {}, step(list, rows, place, -1), " \u00b7 ", step(list, rows, place, 1)),
    promptOf(sample, `data/${model.prompts}/${route.length}/${route.task}.jsonl`, answer.index + 1),
    el("h2", {}, "References"),
    el("p", {}, references.join(", ")),
    el("div", { class: "sides" },
      side(model, answer, references, tokens),
      route.filters.with ? await rivalSide(index, route, references, tokens) : null),
  ];
}

function step(list, rows, place, by) {
  const [name, key] = by > 0 ? ["next", "j"] : ["previous", "k"];
  const target = place < 0 ? null : rows[place + by];
  return target
    ? el("a", { "aria-keyshortcuts": key, href: sampleAddress(list, target) }, `${name} (#${target.answer.index})`)
    : el("span", { class: "note" }, `no ${name}`);
}

function promptOf([pieces, , tokens, characters], file, line) {
  const whole = `The whole prompt is line ${line} of ${file} in the folder of the study.`;
  return [
    el("h2", {}, `Prompt: ${counted(tokens, "token")}, ${counted(characters, "character")}`),
    el("div", { class: "prompt" }, pieces.map((piece) => shown(piece, whole))),
    el("p", { class: "note" },
      el("mark", { class: "needle" }, "needle"), " with an answer, ",
      el("mark", { class: "other" }, "needle"), " without, ",
      el("mark", { class: "question" }, "question"), ". ",
      `Tokens are counted from the first of the prompt, special ones left out. ${whole}`),
  ];
}

function shown([kind, content, depth, token, often], whole) {
  if (kind === "fold") return el("span", { class: "fold", title: whole }, `${content.toLocaleString("en")} characters left out`);
  if (kind === "hay") return el("span", { class: "hay" }, content);
  if (kind === "question") return el("mark", { class: "question" }, content);
  const first = often > 1 ? `first of ${often} occurrences, ` : "";
  return el("mark", { class: kind }, content, el("small", {}, `${first}depth ${depth} %, from token ${token} on`));
}

async function rivalSide(index, route, references, tokens) {
  const rival = index.byName.get(route.filters.with);
  const rows = await answers(rival.name, route.suite, route.length, route.task);
  const answer = rows?.find((each) => String(each.index) === route.sample);
  return answer ? side(rival, answer, references, tokens) : el("section", {}, el("h2", {}, rival.label), el("p", {}, "has not answered this sample."));
}

function side(model, answer, references, tokens) {
  const special = answer.prompt - tokens;
  const facts = [
    ["score", el("span", { class: outcome(answer) }, answer.score === null ? "failed" : `${percent(answer.score)} %`)],
    ["answer", answer.kind],
    ["needle", answer.distance === null ? null : `${counted(answer.distance, "token")} before the question`],
    ["stopped by", STOPS[answer.stop] ?? answer.stop],
    ["tokens read", `${answer.prompt}${special > 0 ? `, with ${counted(special, "special token")}` : ""}`],
    ["shared", `${answer.shared} of them, read once for several samples`],
    ["tokens written", answer.generated],
  ];
  return el("section", {},
    el("h2", {}, model.label),
    el("p", { class: "prompt" }, answer.error ?? (answer.pred ? found(answer.pred, references) : "(nothing)")),
    el("dl", {}, facts.filter(([, value]) => value !== null).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}

// The prediction with every reference in it set off, as RULER's scoring finds them: ignoring case.
function found(text, references) {
  const escaped = references.filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const pattern = new RegExp(`(${escaped.join("|")})`, "i");
  return text.split(pattern).map((part, place) => (place % 2 ? el("mark", { class: "needle" }, part) : part));
}

// Addresses that lead nowhere: what they name that the study does not have, and a way out.

// One sentence, or null where everything that an address names is there.
function missing(index, route) {
  if (route.model === null) return missingPicture(index, route);
  return missingPart(index, route) ?? missingCells(index, listOf(route)) ?? (listsSamples(route) ? missingFilter(index, route) : null);
}

function missingPicture(index, route) {
  const { table, model, suite } = route.filters;
  const what = table && !tableOf(index, route) ? `table ${table}`
    : model && !index.byName.has(model) ? `model ${model}`
    : suite && !index.pictures.some((picture) => picture.suite === suite) ? `picture of suite ${suite}` : null;
  return what && `There is no ${what} in study ${index.study}.`;
}

function missingPart(index, route) {
  let left = index.cells;
  for (const [place, part] of PARTS.slice(0, 4).entries()) {
    if (route[part] === null) return null;
    left = left.filter((cell) => String(cell[part]) === route[part]);
    const upto = PARTS.slice(0, place).map((each) => route[each]).join("/");
    if (!left.length) return `There is no ${part} ${route[part]} in study ${index.study}${upto && ` at ${upto}`}.`;
  }
  return null;
}

function missingCells(index, route) {
  const filters = CELL_FILTERS.filter((name) => route.filters[name]).map((name) => `${name} ${route.filters[name]}`);
  return matching(index, route).length ? null : `There is no cell of ${labelOf(index, route.model)} with ${filters.join(" and ")}.`;
}

function missingFilter(index, route) {
  const { outcome: asked, kind, with: rival, page } = route.filters;
  if (page && !/^[1-9]\d{0,5}$/.test(page)) return `There is no page ${page}.`;
  if (kind && !index.kinds.includes(kind)) return `There is no kind of answer ${kind}.`;
  if (asked && !OUTCOMES.some(([key]) => key === asked)) return `There is no outcome ${asked}.`;
  const known = !rival || rivals(index, route).some((model) => model.name === rival);
  return known ? null : `There is no model ${rival} that answers the samples of ${labelOf(index, route.model)}.`;
}

const message = (sentence, ...ways) => [
  el("h1", {}, sentence),
  [["#", "Go to the start"], ...ways].map(([href, text]) => el("p", {}, el("a", { href }, text))),
];

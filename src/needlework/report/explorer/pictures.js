// What the page opens on: how far each model reads, and where and how far back it finds needles.
const FIELDS = {
  length_curve: ["model", "length"],
  depth_heatmap: ["model", "length", "depth"],
  distance_curve: ["model", "length", "from", "to"],
};
const TOLD = ["mean", "low", "high", "count", "target"];

// The points of a picture as objects.
function pointsOf(picture) {
  const names = [...FIELDS[picture.kind], ...TOLD];
  return picture.points.map((row) => Object.fromEntries(names.map((name, place) => [name, row[place]])));
}

const inWords = ({ mean, low, high, count }) =>
  `${percent(mean)} % (95 % interval ${percent(low)} to ${percent(high)}), ${counted(count, "sample")}`;

// The picture of a kind: of the suite that was chosen, or the first.
function pictureOf(index, route, kind) {
  const those = index.pictures.filter((picture) => picture.kind === kind);
  return those.find((picture) => picture.suite === route.filters.suite) ?? those[0];
}

function picturesView(index, route) {
  const model = index.byName.get(route.filters.model) ?? index.models[0];
  const [length, depth, distance] = Object.keys(FIELDS).map((kind) => pictureOf(index, route, kind));
  return [
    el("h1", {}, `Study ${index.study}`),
    el("p", { class: "note" }, "Every mark opens the samples behind it, every name the scores of a model. Bands: 95 % intervals; dashed line, ring and frame: training length."),
    suiteChoice(index, route),
    length ? lengthPicture(index, length) : null,
    depth || distance ? [modelChoice(index, route, model), el("div", { class: "sides wide" },
      depth ? depthPicture(index, depth, model) : null,
      distance ? distancePicture(index, distance, model) : null)] : null,
    el("h2", {}, "Tables"),
    el("ul", {}, index.tables.map((table) => el("li", {}, el("a", { href: address({}, { table: table.name }) }, `${table.label}: ${table.title}`)))),
  ];
}

// A list of suites where several have pictures of one kind.
function suiteChoice(index, route) {
  const suites = distinct(index.pictures.map((picture) => picture.suite));
  const kinds = distinct(index.pictures.map((picture) => picture.kind));
  if (index.pictures.length === kinds.length) return null;
  const shown = route.filters.suite ?? pictureOf(index, route, kinds[0]).suite;
  return el("form", {}, choice("suite", suites.map((suite) => [suite, suite]), shown, (value) => go({}, { ...route.filters, suite: value })));
}

function modelChoice(index, route, model) {
  const options = index.models.map((each) => [each.name, each.label]);
  return el("form", {}, choice("model", options, model.name, (value) => go({}, { ...route.filters, model: value })));
}

function lengthPicture(index, picture) {
  const points = pointsOf(picture);
  const values = distinct(points.map((point) => point.length)).sort((one, other) => one - other);
  const families = index.families.filter((family) => index.models.some((model) => model.family === family));
  const panels = families.map((family) => {
    const models = index.models.filter((model) => model.family === family);
    const series = models.map((model) => ({ ...model, points: points.filter((point) => point.model === model.name).map((point) => lengthPoint(model, point)) }));
    const trained = distinct(models.map((model) => model.trained));
    const drawn = curves(series.filter((each) => each.points.length), { name: `${picture.title} score by context length, ${family} models`, values, trained, across: "context length (tokens)" });
    const names = models.map((model) => el("li", {}, el("a", { href: address({ model: model.name }, {}) }, swatch(model), " ", model.label)));
    return el("figure", {}, el("figcaption", {}, el("h3", {}, family), el("ul", { class: "line" }, names)), drawn);
  });
  return section(picture, `${picture.title} score (%) by context length`, panels);
}

const lengthPoint = (model, { length, target, ...found }) => ({
  ...found,
  x: length,
  ringed: length === model.trained,
  name: `${model.label}, ${length} tokens: ${inWords(found)}`,
  href: `#${target}`,
});

function depthPicture(index, picture, model) {
  const points = pointsOf(picture);
  const of = (field) => distinct(points.map((point) => point[field])).sort((one, other) => one - other);
  const cells = points.filter((point) => point.model === model.name).map(({ length, depth, target, mean, ...rest }) => ({
    column: length,
    row: depth,
    mean,
    name: `${model.label}, depth ${depth} %, ${length} tokens: ${inWords({ mean, ...rest })}`,
    href: `#${target}`,
  }));
  const drawn = squares(cells, { name: `${model.label}: score by needle depth and context length`, columns: of("length"), rows: of("depth"), across: "context length (tokens)", shades: index.shades, outlined: model.trained });
  return section(picture, `${model.label}: score (%) by needle depth (%)`, [el("figure", {}, drawn)]);
}

function distancePicture(index, picture, model) {
  const points = pointsOf(picture);
  const of = (field) => distinct(points.map((point) => point[field])).sort((one, other) => one - other);
  const lengths = of("length");
  const series = lengths.map((length, place) => ({
    length,
    colour: lengthShade(index.shades, place, lengths.length),
    dash: [1, 0],
    shape: "circle",
    points: points.filter((point) => point.model === model.name && point.length === length).map((point) => distancePoint(model, point)),
  })).filter((each) => each.points.length);
  const drawn = curves(series, { name: `${model.label}: score by the distance of the needle`, values: of("to"), trained: [model.trained], across: "tokens from needle to question, up to" });
  const names = series.map((each) => el("li", {}, swatch(each), ` ${each.length}`));
  const legend = el("figcaption", {}, el("ul", { class: "line" }, el("li", {}, "context length:"), names));
  return section(picture, `${model.label}: ${picture.title} score (%) by distance of the needle`, [el("figure", {}, legend, drawn)]);
}

const distancePoint = (model, { length, from, to, target, ...found }) => ({
  ...found,
  x: to,
  name: `${model.label}, ${length} tokens, needle ${from} to ${to} tokens before the question: ${inWords(found)}`,
  href: `#${target}`,
});

// As figures choose them: the longest context is the darkest, and what exceeds them begins anew.
function lengthShade(shades, place, count) {
  const first = Math.max(0, shades.length - count);
  return shades[shades.length - 1 - ((first + place) % shades.length)];
}

function section(picture, title, panels) {
  const lacking = picture.missing.length ? el("p", { class: "note" }, `Not computed, and left out: ${picture.missing.join("; ")}.`) : null;
  return el("section", {}, el("h2", {}, title), tips(panels), lacking);
}

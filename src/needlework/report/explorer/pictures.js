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
const ascending = (points, field) => distinct(points.map((point) => point[field])).sort((one, other) => one - other);

// The picture of a kind: of the suite that was chosen, or the first.
function pictureOf(index, route, kind) {
  const those = index.pictures.filter((picture) => picture.kind === kind);
  return those.find((picture) => picture.suite === route.filters.suite) ?? those[0];
}

const DRAWN = { length_curve: lengthPicture, depth_heatmap: depthPicture, distance_curve: distancePicture };

function picturesView(index, route) {
  const model = index.byName.get(route.filters.model) ?? index.models[0];
  const shown = Object.keys(DRAWN).map((kind) => pictureOf(index, route, kind)).filter(Boolean);
  return [
    el("h1", {}, `Study ${index.study}`),
    el("p", { class: "note" }, "Every mark opens its samples, every name the scores of that model. Bands: 95 % intervals; dashed, ringed or framed: training length."),
    pictureForm(index, route, model, shown),
    el("div", { class: "pictures" }, shown.map((picture) => DRAWN[picture.kind](index, picture, model))),
    el("h2", {}, "Tables"),
    el("ul", {}, index.tables.map((table) => el("li", {}, el("a", { href: address({}, { table: table.name }) }, `${table.label}: ${table.title}`)))),
  ];
}

// The suite, where several have pictures of one kind, and the model of pictures of one model.
function pictureForm(index, route, model, shown) {
  const suites = distinct(index.pictures.map((picture) => picture.suite));
  const filter = (name) => (value) => go({}, { ...route.filters, [name]: value });
  return el("form", {},
    index.pictures.length > shown.length ? choice("suite", suites.map((suite) => [suite, suite]), route.filters.suite ?? shown[0].suite, filter("suite")) : null,
    shown.some(({ kind }) => kind !== "length_curve") ? choice("model of depth and distance", index.models.map((each) => [each.name, each.label]), model.name, filter("model")) : null);
}

function lengthPicture(index, picture) {
  const points = pointsOf(picture);
  const trained = distinct(index.models.map((model) => model.trained));
  const of = (model) => points.filter((point) => point.model === model.name).map((point) => lengthPoint(model, point, trained.length > 1));
  const series = index.models.map((model) => ({ ...model, points: of(model) })).filter((each) => each.points.length);
  const title = `${picture.title} score (%) by context length`;
  const drawn = curves(series, { name: title, values: ascending(points, "length"), trained: trained.length > 1 ? [] : trained, across: "context length (tokens)" });
  return framed(picture, title, series.map((each) => [swatch(each), " ", el("a", { href: address({ model: each.name }, {}) }, each.label)]), drawn);
}

// A training length that all models share is a line; where they differ, it is a ring.
const lengthPoint = (model, { length, target, ...found }, differ) => ({
  ...found,
  x: length,
  ringed: differ && length === model.trained,
  name: `${model.label}, ${length} tokens: ${inWords(found)}`,
  href: `#${target}`,
});

function depthPicture(index, picture, model) {
  const points = pointsOf(picture);
  const cells = points.filter((point) => point.model === model.name).map(({ length, depth, target, ...found }) => ({
    column: length,
    row: depth,
    mean: found.mean,
    name: `${model.label}, depth ${depth} %, ${length} tokens: ${inWords(found)}`,
    href: `#${target}`,
  }));
  const title = `${model.label}: score (%) by needle depth`;
  const drawn = squares(cells, { name: title, columns: ascending(points, "length"), rows: ascending(points, "depth"), across: "context length (tokens)", shades: index.viridis, outlined: model.trained });
  return framed(picture, title, ["Rows: depth in percent, 0 where the context starts."], drawn);
}

function distancePicture(index, picture, model) {
  const points = pointsOf(picture);
  const series = ascending(points, "length").map((length, place) => ({
    length,
    colour: picture.shades[place],
    dash: [1, 0],
    shape: "circle",
    points: points.filter((point) => point.model === model.name && point.length === length).map((point) => distancePoint(model, point)),
  })).filter((each) => each.points.length);
  const title = `${model.label}: ${picture.title} score (%) by distance`;
  const drawn = curves(series, { name: title, values: ascending(points, "to"), trained: [model.trained], across: "from the needle to the question (tokens, up to)" });
  return framed(picture, title, ["context length:", ...series.map((each) => [swatch(each), ` ${each.length}`])], drawn);
}

const distancePoint = (model, { length, from, to, target, ...found }) => ({
  ...found,
  x: to,
  name: `${model.label}, ${length} tokens, needle ${from} to ${to} tokens before the question: ${inWords(found)}`,
  href: `#${target}`,
});

// A drawing below its title and the list of what is drawn, and what is missing in it.
function framed(picture, title, keys, drawn) {
  const lacking = picture.missing.length ? el("p", { class: "note" }, `Not computed, and left out: ${picture.missing.join("; ")}.`) : null;
  return el("section", {}, el("h2", {}, title), el("ul", { class: "line" }, keys.map((key) => el("li", {}, key))), el("div", {}, tips(drawn), lacking));
}

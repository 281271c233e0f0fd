// The tables as they are printed, each number a link to the cells that it rests on.
const tableNumber = (index, route) => route.filters.table ?? String(index.tables[0]?.name);
const tableOf = (index, route) => index.tables.find((each) => each.name === tableNumber(index, route));

function tablesView(index, route) {
  const table = tableOf(index, route);
  const options = index.tables.map((each) => [each.name, `${each.label}: ${each.title}`]);
  return [
    el("h1", {}, `Study ${index.study}`),
    index.pictures.length ? el("p", {}, el("a", { href: "#" }, "Pictures")) : null,
    el("p", { class: "note" }, "Every number opens the cells behind it, every cell its samples. All cells of one model:"),
    modelLinks(index),
    table ? el("form", {}, choice("table", options, table.name, (value) => go({}, { table: value }))) : null,
    table ? [printed(table), table.notes.map((note) => el("p", { class: "note" }, note))] : null,
  ];
}

function modelLinks(index) {
  const links = index.models.map((model) => el("li", {}, el("a", { href: address({ model: model.name }, {}) }, model.label)));
  return el("ul", { class: "line" }, links);
}

function printed(table) {
  const number = ([text, limits, marks, sign, target]) =>
    el("td", { class: ["number", ...marks].join(" "), title: `95 % interval ${limits}` },
      el("a", { href: "#" + target }, text), sign);
  const heads = [...table.heads.map((head) => [head]), ...table.columns.map((column) => [column, "number"])];
  const rows = table.rows.map((row) =>
    el("tr", {}, row.heads.map((head) => el("th", { scope: "row" }, head)), row.cells.map(number)));
  return listing(`${table.label}. ${table.title}`, heads, rows);
}

// Blocks of packed data, decoded once when somebody asks. A block that the browser has not read yet
// is waited for, so the page shows its tables before the file is read to its end.
const decoded = new Map();
const arrived = new Promise((done) =>
  document.readyState === "loading"
    ? document.addEventListener("DOMContentLoaded", done, { once: true })
    : done(),
);

async function block(key) {
  if (!decoded.has(key)) decoded.set(key, unpack(key));
  return decoded.get(key);
}

async function unpack(key) {
  const find = () => document.querySelector(`script[data-key="${CSS.escape(key)}"]`);
  let node = find();
  if (!node) {
    await arrived;
    node = find();
  }
  if (!node) return null;
  const bytes = Uint8Array.from(atob(node.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).json();
}

const CELL = ["model", "suite", "length", "task", "format", "depth", "mean", "low", "high", "count", "failed"];

async function readIndex() {
  const index = await block("index");
  index.cells = index.cells.map((row) => Object.fromEntries(CELL.map((name, place) => [name, row[place]])));
  index.byName = new Map(index.models.map((model) => [model.name, model]));
  return index;
}

// The answers of one model to one task, one object a sample, or null where there are none.
async function answers(model, suite, length, task) {
  const columns = await block(`answers/${model}/${suite}/${length}/${task}`);
  if (!columns) return null;
  const names = Object.keys(columns);
  return columns.index.map((_, row) => Object.fromEntries(names.map((name) => [name, columns[name][row]])));
}

const dataset = (model, length, task) => block(`data/${model.prompts}/${length}/${task}`);

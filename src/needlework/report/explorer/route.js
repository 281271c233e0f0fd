// An address is model/suite/length/task/sample, cut off anywhere, with filters behind a question
// mark: everything that is on the screen stands in it, so that every view can be sent to somebody.
const PARTS = ["model", "suite", "length", "task", "sample"];

function parseRoute(hash) {
  const [path, ...query] = hash.replace(/^#/, "").split("?");
  const words = path.split("/").filter(Boolean).map(plain);
  const route = Object.fromEntries(PARTS.map((part, place) => [part, words[place] ?? null]));
  return { ...route, filters: settled(route, Object.fromEntries(new URLSearchParams(query.join("?")))) };
}

// A part of a path as it was before it was encoded; what nobody encoded stays as it is.
function plain(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

// The filters that say something: a model does not differ from itself, and not from nobody; a list
// of samples needs no word where a task says it, cells are not chosen beside a task, and a sample is
// of no list but one of its own cells. In order of their names, so that one view has one address.
function settled(route, filters) {
  const rival = filters.with === route.model ? "" : filters.with;
  const outcome = filters.outcome === "differ" && !rival ? "" : filters.outcome;
  const isTask = given(route.task);
  const lists = ["all", `${route.suite}`, `${route.suite}/${route.length}`];
  const of = given(route.sample) && lists.includes(filters.of) ? filters.of : "";
  const cells = isTask && !of ? Object.fromEntries(CELL_FILTERS.map((name) => [name, ""])) : {};
  const kept = Object.entries({ ...filters, ...cells, with: rival, outcome, of, show: isTask ? "" : filters.show });
  return Object.fromEntries(kept.filter(([, value]) => value !== "" && given(value)).sort());
}

const given = (value) => value !== null && value !== undefined;

function address(route, filters = route.filters) {
  const words = [];
  for (const part of PARTS) {
    if (!given(route[part])) break;
    words.push(encodeURIComponent(route[part]));
  }
  const query = new URLSearchParams(settled(route, filters ?? {})).toString();
  return "#" + words.join("/") + (query && `?${query}`);
}

const go = (route, filters) => { location.hash = address(route, filters); };

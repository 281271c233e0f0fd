// Drawings as figures have them: curves with bands, a map of squares. Every mark is a link that
// names its numbers; `tips` shows the name of the one under the pointer or with the focus.
const BOX = { width: 400, height: 300, left: 34, right: 394, top: 8, bottom: 258 };
const ROOM = 26; // Pixels between the frame and the first and last place of a curve.
const MOST_ASIDE = 5; // Pixels between the marks of two curves at one place, so that each can be hit.
const GAP = 1.5; // Pixels around a square, in which its frame fits.

const SHAPES = {
  circle: "M-5,0a5,5 0 1,0 10,0a5,5 0 1,0 -10,0Z",
  square: "M-4.5,-4.5h9v9h-9Z",
  "triangle-up": "M0,-5.5L5.3,4H-5.3Z",
  diamond: "M0,-6L5,0L0,6L-5,0Z",
  cross: "M-1.8,-5h3.6v3.2h3.2v3.6h-3.2v3.2h-3.6v-3.2h-3.2v-3.6h3.2Z",
  "triangle-down": "M0,5.5L5.3,-4H-5.3Z",
  "triangle-right": "M5.5,0L-4,5.3V-5.3Z",
};

const coloured = (colour) => `--mark:${colour}`;
const upright = (share) => BOX.bottom - share * (BOX.bottom - BOX.top);

// Where a value stands on an axis of powers of two.
function logarithmic(values) {
  const first = Math.log2(Math.min(...values));
  const span = Math.log2(Math.max(...values)) - first;
  const room = BOX.right - BOX.left - 2 * ROOM;
  return (value) => BOX.left + ROOM + (span ? (room * (Math.log2(value) - first)) / span : room / 2);
}

// Lines with their bands. A series has colour, dash, shape and points of x, mean, low, high, name
// and href, and may be ringed; `trained` lists where the lines of training lengths stand.
function curves(series, { name, values, trained, across }) {
  const place = logarithmic(values);
  const places = values.map(place);
  const gaps = places.slice(1).map((each, number) => each - places[number]);
  const aside = Math.min(MOST_ASIDE, Math.min(...gaps, 60) / (series.length + 1));
  const moved = series.map((each, number) => (x) => place(x) + aside * (number - (series.length - 1) / 2));
  return drawing(name, across,
    [0, 0.2, 0.4, 0.6, 0.8, 1].map((share) => rung(share)),
    steps(values, place),
    trained.filter((each) => each >= Math.min(...values) && each <= Math.max(...values)).map((each) =>
      svg("line", { class: "trained", x1: place(each), x2: place(each), y1: BOX.top, y2: BOX.bottom })),
    series.map((each, number) => band(each, moved[number])),
    series.map((each, number) => line(each, moved[number])),
    series.map((each, number) => each.points.map((point) => mark(each, point, moved[number]))));
}

function drawing(name, across, ...children) {
  return svg("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}`, role: "group", "aria-label": name },
    children, svg("text", { class: "axis", x: (BOX.left + BOX.right) / 2, y: BOX.height - 6 }, across));
}

function rung(share) {
  return [
    svg("line", { class: "grid", x1: BOX.left, x2: BOX.right, y1: upright(share), y2: upright(share) }),
    svg("text", { class: "up", x: BOX.left - 6, y: upright(share) + 4 }, `${100 * share}`),
  ];
}

// The values of an axis, without those that would run into the one before.
function steps(values, place) {
  let free = 0;
  return values.map((value) => {
    const [x, half] = [place(value), 3.6 * String(value).length + 2];
    const fits = x - half >= free;
    if (fits) free = x + half;
    return [
      svg("line", { class: "grid", x1: x, x2: x, y1: BOX.top, y2: BOX.bottom }),
      fits ? svg("text", { class: "axis", x, y: BOX.bottom + 18 }, value) : null,
    ];
  });
}

const corner = (x, y) => `${x.toFixed(1)},${y.toFixed(1)}`;

function band({ colour, points }, place) {
  const above = points.map(({ x, high }) => corner(place(x), upright(high)));
  const below = points.map(({ x, low }) => corner(place(x), upright(low))).reverse();
  const whiskers = points.map(({ x, low, high }) => `M${corner(place(x), upright(high))}V${upright(low).toFixed(1)}`);
  return svg("g", { style: coloured(colour) },
    svg("path", { class: "band", d: `M${[...above, ...below].join("L")}Z` }),
    svg("path", { class: "whiskers", d: whiskers.join("") }));
}

function line({ colour, dash, points }, place) {
  const corners = points.map(({ x, mean }) => corner(place(x), upright(mean)));
  return svg("path", { class: "line", style: coloured(colour), "stroke-dasharray": dash.includes(0) ? null : dash.join(" "), d: `M${corners.join("L")}` });
}

function mark({ colour, shape }, { x, mean, name, href, ringed }, place) {
  return svg("a", { href, "aria-label": name, style: coloured(colour), transform: `translate(${corner(place(x), upright(mean))})` },
    svg("circle", { class: "hit", r: 7 }),
    ringed ? svg("circle", { class: "ring", r: 8 }) : null,
    svg("path", { class: "point", d: SHAPES[shape] }));
}

// A small drawing of how a curve looks, for its name.
function swatch({ colour, dash, shape }) {
  return svg("svg", { class: "swatch", viewBox: "-16 -7 32 14", "aria-hidden": "true", style: coloured(colour) },
    svg("path", { class: "line", "stroke-dasharray": dash.includes(0) ? null : dash.join(" "), d: "M-16,0H16" }),
    svg("path", { class: "point", d: SHAPES[shape] }));
}

// Squares by column and row. A point has column, row, mean, name and href.
function squares(points, { name, columns, rows, across, shades, outlined }) {
  const wide = (BOX.right - BOX.left) / columns.length;
  const high = (BOX.bottom - BOX.top) / rows.length;
  const left = (column) => BOX.left + wide * columns.indexOf(column);
  const top = (row) => BOX.top + high * rows.indexOf(row);
  return drawing(name, across,
    columns.map((each) => svg("text", { class: "axis", x: left(each) + wide / 2, y: BOX.bottom + 18 }, each)),
    rows.map((each) => svg("text", { class: "up", x: BOX.left - 6, y: top(each) + high / 2 + 4 }, each)),
    points.map((point) => svg("a", { href: point.href, "aria-label": point.name },
      svg("rect", { class: "square", x: left(point.column) + GAP, y: top(point.row) + GAP, width: wide - 2 * GAP, height: high - 2 * GAP, style: `fill:${shade(point.mean, shades)}` }),
      svg("text", { class: point.mean > 0.45 ? "on light" : "on dark", x: left(point.column) + wide / 2, y: top(point.row) + high / 2 + 4 }, percent(point.mean, 0)))),
    columns.includes(outlined) ? svg("rect", { class: "outline", x: left(outlined), y: BOX.top, width: wide, height: BOX.bottom - BOX.top }) : null);
}

// The colour of a share, between shades from dark to light.
function shade(share, shades) {
  const at = share * (shades.length - 1);
  const low = Math.min(Math.floor(at), shades.length - 2);
  const parts = (hex) => [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
  const [from, to] = [parts(shades[low]), parts(shades[low + 1])];
  return `rgb(${from.map((part, place) => Math.round(part + (at - low) * (to[place] - part))).join(",")})`;
}

// A box with a drawing in which the name of a mark is shown beside it; Escape hides it.
function tips(drawn) {
  const tip = el("div", { class: "tip", "aria-hidden": "true", hidden: "" });
  const hide = () => { tip.hidden = true; };
  const show = ({ target }) => {
    const link = target.closest("a[aria-label]");
    if (!link) return;
    tip.textContent = link.getAttribute("aria-label");
    tip.hidden = false;
    const [mark, around] = [link.getBoundingClientRect(), box.getBoundingClientRect()];
    tip.style.left = `${Math.max(0, Math.min(mark.x + mark.width / 2 - around.x - tip.offsetWidth / 2, around.width - tip.offsetWidth))}px`;
    tip.style.top = `${mark.y - around.y - tip.offsetHeight - 4}px`;
  };
  const box = el("div", { class: "plot", onmouseover: show, onfocusin: show, onmouseout: hide, onfocusout: hide, onkeydown: (event) => event.key === "Escape" && hide() }, drawn, tip);
  return box;
}

"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const of = data.patches, total = of.patch_id.length, PAGE = 60, DASH = "—", MINUS = "−";
const form = document.querySelector("form.choices"), list = document.getElementById("patches");
const more = document.getElementById("more"), dialog = document.getElementById("patch");

const VIEWS = [
  { name: "image", words: "Image" },
  { name: "compartments", words: "Compartments" },
  { name: "saliency", words: "Saliency" },
  ...(data.control ? [{ name: "control_saliency", words: `Saliency, ${data.control}` }] : []),
];
const ORDERS = {
  "as drawn": () => 0,
  "δ, largest first": (a, b) => last(of.delta[b], of.delta[a], -Infinity),
  "δ, smallest first": (a, b) => last(of.delta[a], of.delta[b], Infinity),
  "probability of the true class, largest first": (a, b) => of.p_true[b] - of.p_true[a],
  "probability of the true class, smallest first": (a, b) => of.p_true[a] - of.p_true[b],
  "slide": (a, b) => of.slide_id[a].localeCompare(of.slide_id[b]),
};
let view = "image", chosen = [], drawn = 0, open = -1;

// --- words ---

/** Compare two numbers, with one that is missing in the place of `end`. */
function last(first, second, end) { return Math.sign((first ?? end) - (second ?? end)) || 0; }
function number(value, digits = 2) {
  return value == null ? DASH : value.toFixed(digits).replace("-", MINUS);
}
function signed(value) { return value > 0 ? `+${number(value)}` : number(value); }
function percent(value) { return value == null ? DASH : `${(100 * value).toFixed(0)} %`; }
function times(value) { return `${value}×`; }
function label(i) { return data.classes[of.label[i]]; }
function decision(i) { return of.correct[i] ? "right" : `taken for ${data.classes[1 - of.label[i]]}`; }
function delta(i) { return of.delta[i] == null ? `no δ: ${of.missing[i]}` : `δ ${signed(of.delta[i])}`; }
function alternative(i) {
  return `Patch ${of.patch_id[i]}, ${label(i)}, ${times(of.magnification[i])}, ${decision(i)}, ${delta(i)}`;
}
function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// --- pictures: image, and what is laid over it ---

async function picture(kind, i) {
  const made = new Image();
  made.src = `data:image/${kind === "compartments" ? "png" : "jpeg"};base64,${of[kind][i]}`;
  await made.decode();
  return made;
}
/** Grey levels of a stored picture, one a pixel. */
async function levels(kind, i) {
  const found = await picture(kind, i), canvas = element("canvas", { width: found.width, height: found.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(found, 0, 0);
  const pixels = context.getImageData(0, 0, found.width, found.height).data;
  return { width: found.width, height: found.height, at: pixels.filter((_, k) => k % 4 === 0) };
}
/** Compartments by their place in the list, one a pixel. */
async function compartments(i) {
  const found = await levels("compartments", i);
  const place = data.codes.reduce((places, code, k) => { places[code] = k; return places; }, []);
  return { ...found, at: found.at.map((level) => place[Math.round(level / data.step)]) };
}
function isBorder(codes, k) {
  const { width, height, at } = codes, x = k % width;
  const out = (other) => at[other] !== 0;
  return at[k] === 0 && ((x > 0 && out(k - 1)) || (x < width - 1 && out(k + 1)) || (k >= width && out(k - width)) || (k < width * (height - 1) && out(k + width)));
}
const TINTS = data.colours.map((colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16)));

/** Lay compartments or a map over a patch's image; `pure` hides the image, `outlined` draws the nuclei on a map. */
async function overlay(canvas, kind, i, { pure = false, outlined = false } = {}) {
  const codes = kind === "compartments" || outlined ? await compartments(i) : null;
  const map = kind === "compartments" ? null : await levels(kind, i);
  const { width, height } = map ?? codes;
  const context = Object.assign(canvas, { width, height }).getContext("2d");
  const painted = context.createImageData(width, height);
  for (let k = 0; k < width * height; k++) {
    let colour, strength;
    if (codes && isBorder(codes, k)) [colour, strength] = [data.outline, map ? 0.65 : 1];
    else if (map) [colour, strength] = [data.scale[map.at[k]], pure ? 1 : 0.35 + 0.6 * Math.min(1, map.at[k] / 128)];
    else [colour, strength] = [TINTS[codes.at[k]], data.tints[codes.at[k]]];
    for (let part = 0; part < 3; part++) painted.data[4 * k + part] = colour[part];
    painted.data[4 * k + 3] = 255 * strength;
  }
  context.putImageData(painted, 0, 0);
}

// --- the patches ---

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) { seen.unobserve(target); show(target); }
}, { rootMargin: "300px" });

async function show(tile) {
  const i = Number(tile.dataset.patch), wanted = view, frame = tile.querySelector(".picture-of");
  const [image] = frame.children;
  if (!image.src) image.src = `data:image/jpeg;base64,${of.image[i]}`;
  const over = element("canvas", { ariaHidden: "true" });
  if (wanted !== "image") await overlay(over, wanted, i);
  if (wanted !== view) return;
  frame.replaceChildren(image, ...(wanted === "image" ? [] : [over]));
}
function tile(i) {
  const caption = element("span", { className: "caption" },
    element("span", {}, `${label(i)} `, element("span", {
      className: of.correct[i] ? "right" : "wrong", style: "display: inline", textContent: of.correct[i] ? "✓" : "✗ wrong" })),
    element("span", { textContent: of.delta[i] == null ? "δ not measured" : `δ ${signed(of.delta[i])} · prob. ${number(of.p_true[i])}` }),
    element("span", { className: "of", textContent: `${of.slide_id[i] || "slide unknown"}, ${times(of.magnification[i])}` }));
  const made = element("button", { type: "button" },
    element("span", { className: "picture-of" }, element("img", { alt: alternative(i) })), caption);
  made.dataset.patch = i;
  made.addEventListener("click", () => look(i));
  seen.observe(made);
  return element("li", {}, made);
}
function draw() {
  list.append(...chosen.slice(drawn, drawn + PAGE).map(tile));
  drawn = Math.min(drawn + PAGE, chosen.length);
  more.hidden = drawn === chosen.length;
  more.textContent = `Show ${Math.min(PAGE, chosen.length - drawn)} more`;
}
more.addEventListener("click", () => {
  const first = drawn;
  draw();
  list.children[first].firstChild.focus();
});
new IntersectionObserver((entries) => { if (entries[0].isIntersecting) draw(); }, { rootMargin: "600px" }).observe(more);

// --- filter and sort ---

function within(value, low, high) {
  return (low === "" && high === "") || (value != null && (low === "" || value >= Number(low)) && (high === "" || value <= Number(high)));
}
function apply() {
  const wanted = Object.fromEntries(new FormData(form));
  const equal = (column, name) => wanted[name] === "" ? () => true : (i) => String(of[column][i]) === wanted[name];
  const tests = [
    ...["label", "correct", "magnification"].map((name) => equal(name, name)),
    wanted.judged === "" ? () => true : (i) => of.judged[i] === wanted.judged.slice(1),
    wanted.slide === "" ? () => true : (i) => of.slide_id[i] === wanted.slide.slice(1),
    (i) => within(of.delta[i], wanted.delta_low, wanted.delta_high),
    (i) => within(of.p_true[i], wanted.p_low, wanted.p_high),
  ];
  chosen = [...Array(total).keys()].filter((i) => tests.every((test) => test(i))).sort(ORDERS[wanted.order]);
  list.replaceChildren();
  drawn = 0;
  draw();
  const measured = chosen.map((i) => of.delta[i]).filter((value) => value != null).sort((a, b) => a - b);
  const half = measured.length >> 1, middle = measured.length % 2 ? measured[half] : (measured[half - 1] + measured[half]) / 2;
  const right = chosen.filter((i) => of.correct[i]).length;
  document.getElementById("found").textContent = chosen.length
    ? `${chosen.length.toLocaleString("en")} of ${total.toLocaleString("en")} patches · ${percent(right / chosen.length)} right${measured.length ? ` · median δ ${signed(middle)}` : ""}`
    : "No patch is like that.";
}
function options(name, entries) {
  form.elements[name].append(...entries.map(([value, words]) => element("option", { value, textContent: words })));
}
const counted = (column) => [...new Set(of[column])];
options("label", data.classes.map((words, value) => [value, words]));
options("magnification", counted("magnification").sort((a, b) => a - b).map((value) => [value, times(value)]));
options("judged", data.judged.map(([value, words]) => [`=${value}`, words]));
options("slide", counted("slide_id").sort().map((value) => [`=${value}`, value || "unknown"]));
options("order", Object.keys(ORDERS).map((words) => [words, words]));
form.addEventListener("input", apply);
form.addEventListener("reset", () => setTimeout(apply));
form.addEventListener("submit", (event) => event.preventDefault());

// --- views ---

function legend() {
  const place = document.getElementById("legend");
  const squares = data.compartments.flatMap((name, k) => [element("i", { style: `background: ${k ? data.colours[k] : `rgb(${data.outline})`}` }), k ? name : "outline of a nucleus"]);
  const scale = element("i", { className: "scale", style: `background: linear-gradient(to right, ${data.scale.filter((_, k) => k % 15 === 0).map((colour) => `rgb(${colour})`)})` });
  place.replaceChildren(...(view === "compartments" ? squares.slice(0, 6) : view === "image" ? [] : ["little", scale, `much saliency (${data.method})`]));
}
const radios = VIEWS.map(({ name, words }) => {
  const input = element("input", { type: "radio", name: "view", value: name, checked: name === view });
  input.addEventListener("change", () => {
    view = name;
    legend();
    for (const made of list.querySelectorAll("button")) { seen.unobserve(made); seen.observe(made); }
  });
  return element("label", {}, input, element("span", { textContent: words }));
});
document.getElementById("views").append(...radios);

// --- one patch ---

const OUTLINED = dialog.querySelector(".outlines input");
OUTLINED.addEventListener("change", panels);

async function panels() {
  const i = open;
  const figures = await Promise.all(VIEWS.map(async ({ name, words }) => {
    const frame = element("span", { className: "picture-of" });
    if (name === "image" || name === "compartments") {
      frame.append(element("img", { src: `data:image/jpeg;base64,${of.image[i]}`, alt: name === "image" ? alternative(i) : "" }));
    }
    if (name !== "image") {
      const canvas = element("canvas", { role: "img", ariaLabel: `${words} of this patch` });
      await overlay(canvas, name, i, { pure: true, outlined: OUTLINED.checked });
      frame.append(canvas);
    }
    const button = element("button", { type: "button", title: "larger or smaller" }, frame);
    button.addEventListener("click", () => button.parentElement.classList.toggle("large"));
    return element("figure", {}, button, element("figcaption", { textContent: words }));
  }));
  if (i === open) dialog.querySelector(".panels").replaceChildren(...figures);
}
function table(i) {
  const heads = ["Compartment", "Of the area", "Of the saliency", "Density ratio", ...(data.control ? [`Density ratio, ${data.control}`] : [])];
  const rows = data.compartments.map((name, k) => element("tr", {},
    element("th", { scope: "row" }, element("i", { style: `background: ${data.colours[k]}` }), name),
    ...[percent(of.area_share[i][k]), percent(of.mass_share[i][k]), number(of.density_ratio[i][k]), ...(data.control ? [number(of.control_density_ratio[i][k])] : [])]
      .map((textContent) => element("td", { className: "number", textContent }))));
  const head = element("tr", {}, ...heads.map((textContent, k) => element("th", { scope: "col", className: k ? "number" : "", textContent })));
  return [element("thead", {}, head), element("tbody", {}, ...rows)];
}
function facts(i) {
  const place = of.x_um[i] == null ? DASH : `x ${number(of.x_um[i], 0)} µm, y ${number(of.y_um[i], 0)} µm`;
  const ratio = of.delta[i] == null ? `not measured: ${of.missing[i]}` : `${signed(of.delta[i])}, that is ${number(2 ** of.delta[i])} times the density of the nuclei`;
  return [
    ["δ", ratio],
    ["Probability of the true class", number(of.p_true[i], 3)],
    ["In the study", data.judged.find(([value]) => value === of.judged[i])[1]],
    ["Slide", of.slide_id[i] || "unknown"],
    ...(of.patient_id[i] ? [["Patient", of.patient_id[i]]] : []),
    ["Centre on the slide", place],
    ["Magnification", `${times(of.magnification[i])}, ${number(of.mpp[i], 3)} µm per pixel`],
    ["Source", of.source[i] || DASH],
    ...(counted("network").length > 1 ? [["Network", of.network[i]]] : []),
  ].flatMap(([name, value]) => [element("dt", { textContent: name }), element("dd", { textContent: value })]);
}
function look(i) {
  open = i;
  dialog.querySelector("h2").textContent = of.patch_id[i];
  dialog.querySelector(".where").replaceChildren(`${label(i)}, `, element("span", { className: of.correct[i] ? "right" : "wrong", textContent: decision(i) }));
  dialog.querySelector(".numbers").replaceChildren(...table(i));
  dialog.querySelector(".facts-of-patch").replaceChildren(...facts(i));
  for (const step of dialog.querySelectorAll("[data-step]")) step.disabled = neighbour(Number(step.dataset.step)) === undefined;
  panels();
  if (!dialog.open) dialog.showModal();
}
function neighbour(step) { return chosen[chosen.indexOf(open) + step]; }
function go(step) {
  const next = neighbour(step);
  if (next === undefined) return;
  look(next);
  while (chosen.indexOf(next) >= drawn) draw();
}
for (const step of dialog.querySelectorAll("[data-step]")) step.addEventListener("click", () => go(Number(step.dataset.step)));
function shut() {
  dialog.close();
  list.querySelector(`[data-patch="${open}"]`).focus(); // where one goes on
}
dialog.querySelector("[data-close]").addEventListener("click", shut);
dialog.addEventListener("click", (event) => { if (event.target === dialog) shut(); });
dialog.addEventListener("cancel", (event) => { event.preventDefault(); shut(); });
dialog.addEventListener("keydown", ({ key, target }) => {
  if (target.matches(".scroll")) return; // there the keys move a wide table
  if (key === "ArrowLeft") go(-1);
  if (key === "ArrowRight") go(1);
});
list.addEventListener("keydown", (event) => {
  const tiles = [...list.querySelectorAll("button")], at = tiles.indexOf(document.activeElement);
  const columns = tiles.filter((made) => made.offsetTop === tiles[0].offsetTop).length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: tiles.length - 1 - at };
  const next = event.key in steps ? tiles[at + steps[event.key]] : undefined;
  if (at >= 0 && next) { event.preventDefault(); next.focus(); }
});

if (matchMedia("(max-width: 640px)").matches) document.getElementById("choices").open = false;
legend();
apply();

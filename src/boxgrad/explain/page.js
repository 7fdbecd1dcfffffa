// The life of an explanation: walking through its steps, opening boxes, pointing at values.
// What it shows is in the page: marks on elements (data-k, data-c, data-s, data-box) and one JSON object.
"use strict";

const $ = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const data = JSON.parse($("data").textContent);
const hash = new URLSearchParams(location.hash.slice(1));
const state = {
  lang: hash.get("lang") || data.lang,
  theme: hash.get("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
  open: new Set(hash.has("open") ? hash.get("open").split(",").filter((path) => data.around[path]) : data.open),
  at: 0, timer: 0, wide: true, fit: false,
};
const word = (key) => data.words[key][state.lang];
const isGradient = (mark) => mark.startsWith("∂");
const base = (mark) => mark.replace("∂", "");
const side = (mark) => (isGradient(mark) ? "b" : "f");

// ---- the steps of the present drawing: [what is said, marks that become known, marks inside closed boxes]
let steps = [];
let when = new Map(); // mark -> number of the step that finds it

function number() {
  const key = [...state.open].sort().join(",");
  if (!data.steps[key]) state.open.clear();
  steps = (data.steps[key] || data.steps[""]).map(([say, marks, hidden]) => ({ say, marks, hidden }));
  when = new Map();
  steps.forEach((step, i) => [...step.hidden, ...step.marks].forEach((mark) => when.set(mark, i)));
  all(".ordered").forEach((rows) => { // a row without a step of its own stays behind the one before it
    let at = 0;
    const keyed = [...rows.children].map((row, i) => [(at = when.get(row.dataset.row) ?? at), i, row]);
    rows.append(...keyed.sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , row]) => row));
  });
}

// ---- painting
const name = (mark) => data.names[base(mark)] ?? base(mark);

function label(step) {
  const [first, ...rest] = step.marks;
  if (isGradient(first)) return `<span>∂${name(data.output)}</span><span>∂${name(first)}</span>`;
  return `<span>${name(first)}${rest.length === 1 ? `, ${name(rest[0])}` : rest.length ? ", …" : ""}</span>`;
}

function rail() {
  const dense = steps.length > 80;
  const place = (i) => `calc(9px + (100% - 18px) * ${steps.length > 1 ? i / (steps.length - 1) : 0})`;
  $("scrub").max = steps.length;
  $("track").classList.toggle("dense", dense);
  $("stops").innerHTML = steps.map((step, i) => {
    const c = side(step.marks[0]);
    const shown = dense ? "" : `<button tabindex="-1" data-go="${i}">${label(step)}</button>`;
    return `<span class="stop" style="left:${place(i)};--c:var(--${c});--ct:var(--${c}-ink)">${shown}</span>`;
  }).join("");
  if (!dense) thin();
}

function thin() { // labels that would touch their neighbour are left away, but never the last
  let right = -Infinity, kept = null;
  all(".stop button", $("stops")).forEach((button, i, buttons) => {
    button.style.translate = button.style.visibility = "";
    const place = button.getBoundingClientRect(), shift = Math.min(0, innerWidth - 6 - place.right);
    button.style.translate = `${shift}px`;
    if (place.left + shift >= right) [right, kept] = [place.right + shift, button];
    else (i < buttons.length - 1 ? button : kept).style.visibility = "hidden";
  });
}

function paint() {
  const turn = steps.findIndex((step) => isGradient(step.marks[0]));
  const forward = turn < 0 ? steps.length : turn;
  const percent = (i) => (steps.length > 1 ? (100 * i) / (steps.length - 1) : 0);
  all("[data-s]").forEach((element) => {
    const step = when.get(element.dataset.s);
    element.classList.toggle("wait", step > state.at);
    element.classList.toggle("now", step === state.at);
  });
  all(".no[data-of]").forEach((e) => (e.textContent = when.has(e.dataset.of) ? when.get(e.dataset.of) + 1 : ""));
  all(".stop").forEach((element, i) => {
    element.classList.toggle("known", i <= state.at);
    element.classList.toggle("now", i === state.at);
  });
  document.documentElement.style.setProperty("--now", `var(--${side(steps[state.at].marks[0])})`);
  $("railf").style.cssText = `left:0;width:${percent(Math.min(state.at, forward - 1))}%;background:var(--f)`;
  const behind = percent(Math.max(0, state.at - forward + 1));
  $("railb").style.cssText = `left:${percent(forward - 1)}%;width:${behind}%;background:var(--b)`;
  $("previous").disabled = state.at === 0;
  $("next").disabled = state.at === steps.length - 1;
  $("scrub").value = state.at + 1;
  caption();
  $("scrub").setAttribute("aria-valuetext", $("say").textContent);
  remember();
}

function caption(element) {
  const step = steps[state.at];
  const back = isGradient(step.marks[0]);
  const count = word("page_step").replace("{number}", state.at + 1).replace("{count}", steps.length);
  $("number").innerHTML = `<b class="${back ? "g" : "f"}">${word(back ? "page_backward" : "page_forward")}</b> · ${count}`;
  $("caption").classList.toggle("element", Boolean(element));
  $("say").innerHTML = element || data.say[step.say][state.lang];
}

function remember() {
  const open = [...state.open].join(",") || (data.open.length ? "-" : "");
  const parts = { step: state.at + 1, lang: state.lang, theme: state.theme, open };
  const text = Object.entries(parts).filter(([, value]) => value).map(([key, value]) => `${key}=${value}`).join("&");
  try { history.replaceState(null, "", "#" + text); } catch { /* a page inside another has no address */ }
}

// ---- the diagram: one drawing for each language, direction and set of opened boxes
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const drawingName = (open) => `${state.lang} ${state.wide ? "right" : "down"} ${[...open].sort().join(",")}`.trim();
let wanted = "";

async function draw() {
  const drawing = drawingName(state.open);
  wanted = drawing;
  const canvas = $("canvas");
  if (canvas.dataset.name !== drawing && data.drawings[drawing]) {
    const svg = await unpacked(data.drawings[drawing]);
    if (wanted !== drawing) return;
    canvas.innerHTML = svg.replace(/image:(\d+);/g, (_, i) => data.images[i]);
    canvas.dataset.name = drawing;
  }
  unfold();
  size();
  paint();
}

function size() { // a drawing that is little too large is made to fit; one that is much too large is scrolled
  const canvas = $("canvas");
  const svg = canvas.querySelector("svg");
  const whole = svg.viewBox.baseVal.width;
  const scale = Math.min(1, (canvas.clientWidth - 4) / whole);
  const fits = scale > 0.7;
  $("fit").hidden = fits;
  $("fit").setAttribute("aria-pressed", state.fit);
  svg.style.width = fits || state.fit ? `${whole * scale}px` : "";
  svg.style.height = "auto";
}

function follow() { // keep what becomes known in view
  const canvas = $("canvas");
  const now = canvas.querySelector(".box.now, .arr.now, .now");
  if (!now) return;
  const [place, frame] = [now.getBoundingClientRect(), canvas.getBoundingClientRect()];
  const top = document.querySelector(".walk").getBoundingClientRect().bottom;
  const seen = frame.bottom > top + 40 && frame.top < innerHeight - 40;
  const room = innerHeight - top;
  if (seen && (place.top < top || place.bottom > innerHeight) && frame.height > room / 2) {
    scrollBy({ top: place.y + place.height / 2 - top - room / 2, behavior: "smooth" });
  }
  if (canvas.scrollWidth <= canvas.clientWidth + 1) return;
  canvas.scrollTo({ left: canvas.scrollLeft + place.x + place.width / 2 - frame.x - frame.width / 2, behavior: "smooth" });
}

function opening(path) { // what is open when a box is opened too, or null where there is no drawing of it
  const around = data.around[path] || [];
  const all = new Set([...state.open, ...around, path]);
  const only = new Set([...around, path]); // without a drawing of all of them: this one, and those around it
  return [all, only].find((open) => data.drawings[drawingName(open)]) || null;
}

function toggle(path, stay) { // stay: the focus stays where it is
  const before = steps[state.at].marks[0];
  const last = state.at === steps.length - 1;
  if (state.open.has(path)) {
    const open = [...state.open].filter((p) => p !== path && !data.around[p].includes(path));
    state.open = data.drawings[drawingName(open)] ? new Set(open) : new Set(data.around[path]);
  } else {
    state.open = opening(path) || state.open;
  }
  number();
  const near = when.get(before) ?? when.get(base(before)) ?? Math.min(state.at, steps.length - 1);
  state.at = last ? steps.length - 1 : near;
  rail();
  draw().then(() => stay || $("canvas").querySelector(`[data-box="${path}"]`)?.focus({ preventScroll: true }));
}

function unfold() { // formulas and code show what the diagram shows: each step, or the loop folded
  all("[data-within]").forEach((e) => (e.hidden = !state.open.has(e.dataset.within)));
  all("[data-unless]").forEach((e) => (e.hidden = state.open.has(e.dataset.unless)));
  all("[data-toggle]").forEach((e) => {
    const open = state.open.has(e.dataset.toggle);
    e.setAttribute("aria-expanded", open);
    e.dataset.w = open ? "page_fold" : "page_unroll";
    e.textContent = word(e.dataset.w);
    e.hidden = !open && !opening(e.dataset.toggle);
  });
  all("#canvas [data-box][aria-expanded=false]").forEach((e) => { // what has no drawing cannot be opened
    if (opening(e.dataset.box)) return;
    ["aria-expanded", "role", "tabindex"].forEach((name) => e.removeAttribute(name));
    e.classList.add("shut");
  });
}

// ---- language and light
function dress() {
  const root = document.documentElement;
  root.lang = state.lang === "zh" ? "zh-CN" : "en";
  root.dataset.theme = state.theme;
  document.title = word("page_title");
  all("[data-w]").forEach((e) => (e.textContent = word(e.dataset.w)));
  all("[data-label]").forEach((e) => e.setAttribute("aria-label", word(e.dataset.label)));
  all("button[data-label]").forEach((e) => (e.title = word(e.dataset.label)));
  $("theme").textContent = word(state.theme === "dark" ? "page_light" : "page_dark");
  all("[data-lang]").forEach((e) => e.setAttribute("aria-pressed", e.dataset.lang === state.lang));
}

// ---- one element, with its numbers: evaluates the formulas of elements.py
function show(number) {
  if (typeof number !== "number") return String(number);
  const size = Math.abs(number);
  const text = Number.isInteger(number) && size < 1e5 ? String(number)
    : size >= 1e5 || size < 1e-3 ? number.toExponential(2) : String(+number.toPrecision(4));
  return text.replace("e", " · 10^").replace("+", "").replace(/10\^(-?\d+)/, "10<sup>$1</sup>").replace(/-/g, "−");
}

const flat = (index, shape) => index.reduce((sum, i, axis) => sum * shape[axis] + i, 0);
const fit = (index, shape) => index.slice(index.length - shape.length).map((i, axis) => (shape[axis] === 1 ? 0 : i));
const unflat = (n, shape) => shape.map((size, axis) => Math.floor(n / shape.slice(axis + 1).reduce((a, b) => a * b, 1)) % size);
const RANK = { "+": 1, "−": 2, "·": 3, "/": 3, "@": 1, "Σ": 1, "^": 4 };
const SAME = ["T", "reshape", "permute", "spread"];
const MOST = 8; // terms of a long sum that are written

function arithmetic(node, at, sources) {
  const [kind, shape, ...parts] = node;
  const index = fit(at, shape);
  const inner = (part, i, above) => {
    const text = arithmetic(part, i, sources);
    let head = part;
    while (SAME.includes(head[0])) head = head.at(-1);
    const kindOf = RANK[head[0]] ?? (text.startsWith("−") ? 1 : 9);
    return kindOf < above || (kindOf === 1 && above > 1) ? `(${text})` : text;
  };
  const sum = (terms) => {
    const made = terms.map((term) => term());
    return made.length > MOST ? [...made.slice(0, MOST - 2), "…", made.at(-1)].join(" + ") : made.join(" + ");
  };
  switch (kind) {
    case "value": {
      const [mark] = parts;
      const place = fit(index, data.numbers[mark][0]);
      sources.push([mark, ...place].join());
      return show(data.numbers[mark][1][flat(place, data.numbers[mark][0])]);
    }
    case "number": return show(parts[0]) + (parts[1] === 1 ? "" : `/${parts[1]}`);
    case "+": return parts.map((part) => inner(part, index, 1)).join(" + ").replace(/\+ −/g, "− ");
    case "−": return "−" + inner(parts[0], index, 3);
    case "·": return parts.map((part) => inner(part, index, 3)).join(" · ");
    case "⊗": return inner(parts[0], [index[0]], 3) + " · " + inner(parts[1], [index[1]], 3);
    case "/": return `${inner(parts[0], index, 3)} / ${inner(parts[1], index, 4)}`;
    case "^": return `${inner(parts[0], index, 5)}<sup>${arithmetic(parts[1], index, sources)}</sup>`;
    case "call": return parts[0] + parts.slice(2).map((part) => arithmetic(part, index, sources)).join(", ") + parts[1];
    case "T": return arithmetic(parts[0], [...index.slice(0, -2), index.at(-1), index.at(-2)], sources);
    case "@": {
      const [length, left, right, a, b] = parts;
      const row = left === 2 ? [index[0]] : [];
      const column = right === 2 ? [index.at(-1)] : [];
      return sum([...Array(length).keys()].map((k) => () => `${inner(a, [...row, k], 3)}·${inner(b, [k, ...column], 3)}`));
    }
    case "Σ": {
      const [axes, keep, whole, body] = parts;
      const counts = axes.map((axis) => whole[axis]);
      const total = counts.reduce((a, b) => a * b, 1);
      return sum([...Array(total).keys()].map((n) => () => {
        const chosen = unflat(n, counts);
        let next = 0;
        const full = whole.map((_, axis) => (axes.includes(axis) ? chosen[axes.indexOf(axis)] : index[keep ? axis : next++]));
        return inner(body, full, 1);
      }));
    }
    case "reshape": return arithmetic(parts[1], unflat(flat(index, shape), parts[0]), sources);
    case "permute": return arithmetic(parts[1], parts[0].map((_, axis) => index[parts[0].indexOf(axis)]), sources);
    case "spread": return arithmetic(parts[1], parts[0].map((axis) => index[axis]), sources);
  }
  return "";
}

function written(mark, index) {
  const plain = base(mark);
  const letter = /^[A-Z]$/.test(plain) && index.length ? plain.toLowerCase() : name(mark);
  const text = `<i>${letter}</i>` + (index.length ? `<sub>${index.map((i) => i + 1).join(Math.max(...index) > 8 ? "," : "")}</sub>` : "");
  return isGradient(mark) ? `<span class="g">∂<i>${name(data.output)}</i>/∂${text}</span>` : `<span class="f">${text}</span>`;
}

function element(cell) {
  const [mark, ...rest] = cell.split(",");
  const index = rest.map(Number);
  const sources = [];
  if (!data.numbers[mark]) return ["", sources];
  const [shape, values] = data.numbers[mark];
  const result = show(values[flat(index, shape)]);
  const formula = data.formulas[mark];
  const text = formula ? arithmetic(formula, index, sources) : result;
  const end = text === result ? `<b>${result}</b>` : `${text} ≈ <b>${result}</b>`;
  return [`${written(mark, index)} = ${end}`, sources];
}

// ---- pointing
function light(mark, cell) {
  all(".hl, .src, .at").forEach((e) => e.classList.remove("hl", "src", "at"));
  if (mark) all(`[data-k="${CSS.escape(mark)}"]`).forEach((e) => e.classList.add("hl"));
  if (!cell) return caption();
  const [text, sources] = element(cell);
  all(`[data-c="${CSS.escape(cell)}"]`).forEach((e) => e.classList.add("at"));
  sources.forEach((source) => all(`[data-c="${CSS.escape(source)}"]`).forEach((e) => e.classList.add("src")));
  caption(text);
}

function point(event) {
  const at = (selector) => event.target.closest?.(selector);
  if (at(".wait")) return light();
  const mark = at("[data-k]")?.dataset.k ?? at("[data-row]")?.dataset.row;
  light(mark, at("[data-c]")?.dataset.c);
}

// ---- acting
const go = (i) => { state.at = Math.max(0, Math.min(steps.length - 1, i)); paint(); follow(); };
const icons = { play: "M3.5 1v12L13 7z", pause: "M2.5 1h3v12h-3zM8.5 1h3v12h-3z" };
function playing(yes) {
  clearInterval(state.timer);
  state.timer = yes ? setInterval(() => (state.at < steps.length - 1 ? go(state.at + 1) : playing(false)), 1600) : 0;
  $("playicon").setAttribute("d", icons[yes ? "pause" : "play"]);
  $("play").setAttribute("aria-label", word(yes ? "page_pause" : "page_play"));
}
function play() {
  if (state.timer) return playing(false);
  if (state.at === steps.length - 1) go(0);
  playing(true);
}
const move = (by) => { playing(false); go(state.at + by); };
function language(lang) { state.lang = lang; dress(); rail(); draw(); }

document.addEventListener("mouseover", point);
document.addEventListener("focusin", point);
document.addEventListener("focusout", () => light());
document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest?.(selector);
  const box = at("[data-box][aria-expanded]");
  if (at("[data-go]")) { playing(false); go(+at("[data-go]").dataset.go); }
  else if (at("[data-lang]")) language(at("[data-lang]").dataset.lang);
  else if (at("[data-copy]")) navigator.clipboard?.writeText(data.source)
    .then(() => { at("[data-copy]").textContent = word("page_copied"); });
  else if (at("[data-toggle]")) toggle(at("[data-toggle]").dataset.toggle, true);
  else if (box) toggle(box.dataset.box);
});
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const box = event.target.closest?.("[data-box][aria-expanded]");
  const presses = event.target.closest?.("button, summary, a");
  const act = {
    ArrowRight: () => move(1), ArrowLeft: () => move(-1), Home: () => move(-steps.length), End: () => move(steps.length),
    " ": box ? () => toggle(box.dataset.box) : presses ? null : play,
    Enter: box ? () => toggle(box.dataset.box) : null,
  }[event.key];
  if (act) { act(); event.preventDefault(); }
});
$("previous").onclick = () => move(-1);
$("next").onclick = () => move(1);
$("play").onclick = play;
$("scrub").oninput = (event) => { playing(false); go(event.target.value - 1); };
$("theme").onclick = () => { state.theme = state.theme === "dark" ? "light" : "dark"; dress(); paint(); };
$("fit").onclick = () => { state.fit = !state.fit; size(); follow(); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
  if (!hash.get("theme")) { state.theme = event.matches ? "dark" : "light"; dress(); }
});

let before = null; // on paper everything is known, and light
addEventListener("beforeprint", () => {
  before = [state.at, state.theme];
  [state.at, state.theme] = [steps.length - 1, "light"];
  dress(); paint();
});
addEventListener("afterprint", () => { [state.at, state.theme] = before; dress(); paint(); });

let waiting = 0;
const narrow = matchMedia("(max-width: 900px)");
narrow.addEventListener("change", () => { state.wide = !narrow.matches; draw(); });
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => { rail(); size(); paint(); }, 80); });

// ---- beginning
state.wide = !narrow.matches;
number();
state.at = Math.max(1, Math.min(steps.length, +hash.get("step") || steps.length)) - 1;
dress();
rail();
draw().then(() => {
  if (hash.get("step")) follow();
  const [mark, cell] = [hash.get("hl"), hash.get("cell")];
  if (mark || cell) light(mark || cell.split(",")[0], cell);
  document.documentElement.dataset.ready = "yes";
});

// The life of a page of the book: light and dark, turning pages, pointing at values in the three views.
"use strict";

const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const darkness = matchMedia("(prefers-color-scheme: dark)");
const theme = document.getElementById("theme");

function kept() { // a page on the disk may have no storage
  try { return localStorage.getItem("boxgrad-theme"); } catch { return null; }
}
function keep(value) {
  try { localStorage.setItem("boxgrad-theme", value); } catch { /* then it holds for this page alone */ }
}
const asked = new URLSearchParams(location.hash.slice(1)).get("theme");

function dress(value) {
  root.dataset.theme = value;
  theme.textContent = value === "dark" ? theme.dataset.light : theme.dataset.dark;
  const lang = root.lang === "zh-CN" ? "zh" : "en";
  all("[data-walk]").forEach((link) => (link.href = `${link.href.split("#")[0]}#step=1&lang=${lang}&theme=${value}`));
}

const present = () => asked || kept() || (darkness.matches ? "dark" : "light");
dress(present());
theme.hidden = false;
theme.addEventListener("click", () => {
  const value = root.dataset.theme === "dark" ? "light" : "dark";
  keep(value);
  dress(value);
});
darkness.addEventListener("change", () => dress(present()));

// ---- the same place in the other language
all("[data-switch]").forEach((link) => link.addEventListener("click", () => {
  const passed = all("main h2[id]").filter((heading) => heading.getBoundingClientRect().top < innerHeight / 2);
  const address = link.href.split("#")[0];
  link.href = scrollY > 80 && passed.length ? `${address}#${passed.at(-1).id}` : address;
}));

// ---- a value that is pointed at lights up in all three views
function light(target) {
  all(".hl").forEach((element) => element.classList.remove("hl"));
  const mark = target?.closest?.("[data-k]")?.dataset.k ?? target?.closest?.("[data-row]")?.dataset.row;
  const views = target?.closest?.(".views");
  if (mark && views) all(`[data-k="${CSS.escape(mark)}"]`, views).forEach((element) => element.classList.add("hl"));
}
document.addEventListener("mouseover", (event) => light(event.target));
document.addEventListener("focusin", (event) => light(event.target));

// ---- arrow keys turn the page, unless something else is scrolled with them
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target !== document.body) return;
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  const link = rel && document.querySelector(`.turn [rel="${rel}"]`);
  if (link) link.click();
});

// ---- on paper it is light
let before = null;
addEventListener("beforeprint", () => { before = root.dataset.theme; root.dataset.theme = "light"; });
addEventListener("afterprint", () => { root.dataset.theme = before; });

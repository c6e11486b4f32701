"use strict";
// The page works without this file: it saves a reload where a table is put in another order, and adds single keys.

const say = document.createElement("p");
say.className = "skip";
say.setAttribute("role", "status");

function valueOf(row, column) {
  const raw = row.cells[column].dataset.v;
  const number = Number(raw);
  return raw !== "" && !Number.isNaN(number) ? number : raw;
}

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other));
}

function order(table, link) {
  const head = link.closest("th");
  const column = Number(link.dataset.column);
  const before = head.getAttribute("aria-sort");
  const first = head.classList.contains("n") ? "descending" : "ascending";
  const way = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
  const rows = [...table.tBodies[0].rows];
  const unknown = rows.filter((row) => row.cells[column].dataset.v === "");
  const known = rows.filter((row) => row.cells[column].dataset.v !== "");
  known.sort((one, other) => compare(valueOf(one, column), valueOf(other, column)) * (way === "ascending" ? 1 : -1));
  table.tBodies[0].append(...known, ...unknown);
  for (const other of table.tHead.querySelectorAll("th")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", way);
  say.textContent = `Ordered by ${link.textContent}, ${way}`;
}

function addFilter(table) {
  const box = document.createElement("label");
  box.className = "row-filter";
  const field = document.createElement("input");
  field.type = "text";
  box.append(`Show only ${table.dataset.filter} with`, field);
  table.parentElement.before(box);
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of table.tBodies[0].rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
  });
}

function goTo(target) {
  const details = target.closest("details:not([open])");
  if (details) details.open = true;
  target.scrollIntoView();
  if (!target.hasAttribute("tabindex")) target.setAttribute("tabindex", "-1");
  target.focus({ preventScroll: true });
}

function press(key) {
  if (key === "h") location.href = "/history";
  else if (key === "w") location.href = "/";
  else if (key === "?") {
    const keys = document.getElementById("keys");
    keys.open = true;
    goTo(keys.querySelector("summary"));
  } else if (key === "d") {
    const target = document.getElementById("note") || document.getElementById("decide");
    if (target) goTo(target);
  } else {
    const link = document.querySelector(`a[data-key="${CSS.escape(key)}"]`);
    const place = link && link.getAttribute("href").startsWith("#") && document.querySelector(link.getAttribute("href"));
    if (place) goTo(place);
    else if (link) link.click();
  }
}

document.body.append(say);
for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-column]");
    if (!link) return;
    event.preventDefault();
    order(table, link);
  });
  if (table.dataset.filter) addFilter(table);
}

const isOn = document.getElementById("keys-on");
if (isOn) {
  isOn.checked = localStorage.getItem("single keys") !== "off";
  isOn.addEventListener("change", () => localStorage.setItem("single keys", isOn.checked ? "on" : "off"));
}
document.addEventListener("keydown", (event) => {
  const isField = event.target.closest("input, textarea, select");
  if (!isOn || !isOn.checked || isField || event.ctrlKey || event.metaKey || event.altKey) return;
  press(event.key);
});
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

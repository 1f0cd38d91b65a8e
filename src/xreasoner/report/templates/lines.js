"use strict";
// Filters the lines of a benchmark's questions. Without it all of them are there.
const filters = document.querySelector(".filters");
const [column, mark, text] = ["column", "mark", "id"].map((name) => filters.querySelector(`[data-filter=${name}]`));
const status = document.querySelector(".status");
const lines = [...document.querySelectorAll(".lines li")].map((element) => ({
  element,
  marks: [...element.dataset.m],
  id: element.firstElementChild.textContent.toLowerCase(),
}));

function fits(line) {
  const marks = column.value === "" ? line.marks : [line.marks[Number(column.value)]];
  const asked = line.marks.filter((one) => one !== "-");
  if (mark.value === "d" && new Set(asked).size < 2) return false;
  if (mark.value !== "" && mark.value !== "d" && !marks.some((one) => mark.value.includes(one))) return false;
  return line.id.includes(text.value.trim().toLowerCase());
}

function update() {
  let shown = 0;
  for (const line of lines) {
    const here = fits(line);
    if (line.element.hidden === here) line.element.hidden = !here;
    shown += here;
  }
  status.textContent = `${shown.toLocaleString("en")} of ${lines.length.toLocaleString("en")} questions.`;
}

filters.addEventListener("input", update);
filters.hidden = false;
update();

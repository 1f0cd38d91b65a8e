"use strict";
// Filters the transcripts. Without it every problem is on the page, folded by kind.
const PAGE = 8;

for (const browser of document.querySelectorAll(".browser")) {
  const filters = browser.querySelector(".filters");
  const kind = filters.querySelector("[data-filter=kind]");
  const checkpoint = filters.querySelector("[data-filter=checkpoint]");
  const radios = [...filters.querySelectorAll("input")];
  const status = browser.querySelector(".status");
  const more = browser.querySelector(".more");
  const cards = [...browser.querySelectorAll(".card")].map((element) => ({
    element,
    kind: element.dataset.kind,
    replies: [...element.querySelectorAll(".replies > li")].map((reply) => ({
      element: reply,
      checkpoint: reply.dataset.checkpoint,
      outcomes: ["any", ...reply.dataset.outcomes.split(" ")],
    })),
  }));
  const totals = [...browser.parentElement.querySelectorAll(".counts td")].map((cell) => ({
    kind: cell.parentElement.dataset.kind,
    checkpoint: cell.parentElement.dataset.checkpoint,
    outcome: cell.dataset.outcome,
    total: Number(cell.dataset.total),
  }));
  let limit = PAGE;

  const asked = (select, value) => select.value === "" || select.value === value;
  const fits = (reply, outcome) => asked(checkpoint, reply.checkpoint) && reply.outcomes.includes(outcome);
  const matching = (outcome) =>
    cards.filter((card) => asked(kind, card.kind) && card.replies.some((reply) => fits(reply, outcome)));

  function update() {
    const outcome = radios.find((radio) => radio.checked).value;
    const found = matching(outcome);
    for (const card of cards) {
      card.element.hidden = !(found.indexOf(card) >= 0 && found.indexOf(card) < limit);
      for (const reply of card.replies) {
        reply.element.classList.toggle("match", checkpoint.value !== "" && fits(reply, outcome));
      }
    }
    for (const radio of radios) {
      radio.nextElementSibling.querySelector("small").textContent = matching(radio.value).length;
    }
    const all = totals
      .filter((t) => asked(kind, t.kind) && asked(checkpoint, t.checkpoint) && t.outcome === outcome)
      .reduce((sum, t) => sum + t.total, 0);
    const shown = Math.min(limit, found.length);
    status.textContent =
      (found.length ? `Showing ${shown} of the ${found.length} such problems on this page. ` : "No such problem. ") +
      `The evaluation has ${all.toLocaleString("en")} such answers.`;
    more.hidden = found.length <= limit;
  }

  filters.addEventListener("change", () => {
    limit = PAGE;
    update();
  });
  more.addEventListener("click", () => {
    const next = cards.filter((card) => !card.element.hidden).length;
    limit += PAGE;
    update();
    cards.filter((card) => !card.element.hidden)[next]?.element.focus();
  });
  for (const group of browser.querySelectorAll("details.group")) group.open = true;
  browser.classList.add("live");
  filters.hidden = false;
  update();
}

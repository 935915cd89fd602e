(() => {
  "use strict";
  const browser = document.getElementById("example-browser");
  if (!browser) return;
  const known = JSON.parse(document.getElementById("example-data").textContent);
  const picks = [...browser.querySelectorAll("[role=option]")];
  const slider = browser.querySelector("#severity");
  const output = browser.querySelector("output");
  const told = browser.querySelector(".told");
  const place = browser.querySelector(".cards");
  const make = (name, kind, parent, text) => {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  };
  const address = (image) => `data:image/jpeg;base64,${image}`;
  let image = 0;

  // A picture is the sharper the smaller it is: its pixels stay visible.
  const sharpen = (each) => each.addEventListener("load", () => each.classList.toggle("small", each.naturalWidth <= 32));
  const cards = known.cards.map((card) => {
    const figure = make("figure", "", place);
    const picture = make("img", "", figure);
    sharpen(picture);
    make("figcaption", "", figure, card.name);
    const list = make("ul", "", figure);
    const lines = known.models.map((model) => {
      const line = make("li", "", list);
      return { line, sign: make("b", "", line), model: make("span", "model", line, model), text: make("span", "answer", line) };
    });
    const none = make("p", "none", figure, "not measured at this severity");
    return { card, figure, picture, list, lines, none };
  });
  picks.forEach((pick, k) => {
    const picture = pick.querySelector("img");
    sharpen(picture);
    for (const card of known.cards) {
      const own = Object.values(card.at).find((each) => each.images[k]);
      if (own) { picture.src = address(own.images[k]); break; }
    }
  });

  const severity = () => known.severities[slider ? Number(slider.value) : 0];
  function show() {
    const { label, number } = known.images[image];
    const right = known.models.map(() => 0);
    let count = 0;
    for (const { card, figure, picture, list, lines, none } of cards) {
      const own = card.at[0] || card.at[severity()];
      const is = Boolean(own && own.images[image]);
      figure.classList.toggle("lacks", !is);
      picture.hidden = list.hidden = !is;
      none.hidden = is;
      if (!is) continue;
      const isCell = !card.at[0];
      count += isCell;
      picture.src = address(own.images[image]);
      picture.alt = `${label} under ${card.name}${isCell ? `, severity ${severity()}` : ""}`;
      lines.forEach(({ line, sign, text }, k) => {
        const answer = own.answers[k][image];
        line.className = answer ? (answer[2] ? "right" : "wrong") : "";
        sign.textContent = answer ? (answer[2] ? "\u2713" : "\u2717") : "";
        if (answer) sign.setAttribute("aria-label", answer[2] ? "correct" : "wrong");
        text.textContent = answer ? `${answer[0]} (${answer[1]}\u00a0%)` : "not measured";
        if (answer && isCell) right[k] += answer[2];
      });
    }
    picks.forEach((pick, k) => {
      pick.setAttribute("aria-selected", String(k === image));
      pick.tabIndex = k === image ? 0 : -1;
    });
    if (slider) {
      output.textContent = severity();
      slider.setAttribute("aria-valuetext", String(severity()));
    }
    const scores = known.models.map((model, k) => `${model} ${right[k]} of ${count}`).join(", ");
    const at = known.severities.length ? ` at severity ${severity()}` : "";
    told.textContent = `Image ${image + 1} of ${picks.length}: ${label} (no. ${number})${at}.` + (count ? ` Corruptions with the correct answer: ${scores}.` : "");
  }
  const choose = (k, focus) => {
    image = Math.min(Math.max(k, 0), picks.length - 1);
    show();
    if (focus) picks[image].focus();
    picks[image].scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  picks.forEach((pick, k) => pick.addEventListener("click", () => choose(k, false)));
  browser.querySelector("[role=listbox]").addEventListener("keydown", (event) => {
    const to = { ArrowRight: image + 1, ArrowDown: image + 1, ArrowLeft: image - 1, ArrowUp: image - 1, Home: 0, End: picks.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(to, true);
  });
  if (slider) slider.addEventListener("input", show);

  // A swipe over the pictures goes to the next image.
  let start = null;
  place.addEventListener("touchstart", (event) => { start = event.touches.length === 1 ? event.touches[0] : null; }, { passive: true });
  place.addEventListener("touchend", (event) => {
    const end = event.changedTouches[0];
    if (!start || !end) return;
    const [across, down] = [end.clientX - start.clientX, end.clientY - start.clientY];
    start = null;
    if (Math.abs(across) > 40 && Math.abs(across) > 2 * Math.abs(down)) choose(image + (across < 0 ? 1 : -1), false);
  });
  show();
})();

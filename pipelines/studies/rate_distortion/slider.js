"use strict";
(() => {
  const comparisons = JSON.parse(document.getElementById("comparisons").textContent);
  const size = (view) =>
    `${view.num_bytes.toLocaleString("en")}\u00a0bytes · ${view.bpp.toFixed(3)}\u00a0bpp · ` +
    `MS-SSIM\u00a0${view.ms_ssim.toFixed(4)}`;

  function start(root, comparison) {
    const [stage, range] = [root.querySelector(".stage"), root.querySelector("input[type=range]")];
    const radios = [...root.querySelectorAll("input[type=radio]")];
    const find = (kind, side) => root.querySelector(`${kind}.${side}`);
    const chosen = { left: null, right: null };  // titles; null is the original
    let rate = comparison.rates[0];

    const viewOf = (side) => rate.views.find((view) => view.title === chosen[side]);

    function show(side) {
      const view = viewOf(side);
      const [image, text] = [find("img", side), find("p", side)];
      image.src = view ? view.uri : comparison.original;
      image.alt = `${comparison.name}, ${view ? view.title : "original"}`;
      text.textContent = view ? `${view.setting} · ${size(view)}` : "the original, 24 bpp";
      if (view && !view.is_as_large) {
        const told = document.createElement("b");
        told.textContent = " · no file of this size";
        text.append(told);
      }
    }

    function fill(side) {
      const select = find("select", side);
      const titles = rate.views.map((view) => view.title);
      select.replaceChildren(...[...titles, "Original"].map((title) => new Option(title)));
      select.value = viewOf(side) ? chosen[side] : "Original";
      show(side);
    }

    function choose(index) {
      rate = comparison.rates[index];
      radios[index].checked = true;
      fill("left");
      fill("right");
    }

    function move(percent) {
      const within = Math.min(100, Math.max(0, percent));
      range.value = within;
      stage.style.setProperty("--cut", `${within}%`);
    }

    function follow(event) {
      const box = stage.getBoundingClientRect();
      move((100 * (event.clientX - box.left)) / box.width);
    }

    for (const side of ["left", "right"]) {
      find("select", side).addEventListener("change", (event) => {
        chosen[side] = event.target.value === "Original" ? null : event.target.value;
        show(side);
      });
    }
    radios.forEach((radio, index) => radio.addEventListener("change", () => choose(index)));
    range.addEventListener("input", () => move(Number(range.value)));
    stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      stage.setPointerCapture(event.pointerId);
      range.focus({ preventScroll: true });
      event.preventDefault();
      follow(event);
    });
    stage.addEventListener("pointermove", (event) => {
      if (stage.hasPointerCapture(event.pointerId)) follow(event);
    });

    const titles = rate.views.map((view) => view.title);
    chosen.left = titles[0] ?? null;
    chosen.right = titles[1] ?? null;
    choose(Math.min(1, radios.length - 1));
  }

  document.querySelectorAll(".compare").forEach((root, index) => start(root, comparisons[index]));
})();

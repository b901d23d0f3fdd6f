// A photograph with the boxes of what was found in it.

import { ask, versionOf } from "./requests.js";

const element = (id) => document.getElementById(id);

export class Detection {
  constructor() {
    this.objects = [];
    element("score").addEventListener("input", () => this.draw());
  }

  hide() {
    element("detection").hidden = true;
    this.objects = [];
  }

  async show(photograph, model, page, turn) {
    page.say("Looking for objects");
    const started = performance.now();
    const response = await ask("/v1/detect", photograph.file);
    const answer = await response.json();
    const took = (performance.now() - started) / 1000;
    if (!page.isLast(turn)) return;
    await page.answeredBy(versionOf(response));
    const picture = element("picture");
    picture.src = photograph.url;
    // A format that this browser does not show: the boxes have a grey ground then.
    await picture.decode().catch(() => { picture.src = blank(answer); });
    if (!page.isLast(turn)) return;
    this.size = { width: answer.width_px, height: answer.height_px };
    this.objects = answer.objects;
    element("stage").style.setProperty("--ratio", answer.width_px / answer.height_px);
    element("detection-facts").textContent =
      `${answer.width_px}×${answer.height_px} pixels, answered by version ` +
      `${answer.version} in ${took.toFixed(2)} s`;
    element("detection").hidden = false;
    this.draw();
  }

  draw() {
    const least = Number(element("score").value);
    element("score-value").textContent = least.toFixed(2);
    const shown = this.objects.filter((one) => one.score >= least);
    const boxes = shown.map((one) => this.box(one));
    // The best last, so that it lies on top.
    element("boxes").replaceChildren(...[...boxes].reverse());
    element("objects").replaceChildren(
      ...shown.map((one, index) => row(one, boxes[index])),
    );
    element("count").textContent = this.summary(shown.length, least);
  }

  summary(number, least) {
    if (number) return number === 1 ? "1 object" : `${number} objects`;
    const best = this.objects[0];
    return best
      ? `Nothing scores ${least.toFixed(2)} or more; the best has ${best.score.toFixed(2)}.`
      : "Nothing was found.";
  }

  box(one) {
    const [x, y, width, height] = one.box_xywh_px;
    const box = document.createElement("div");
    box.className = "box";
    // Where there is no room for the caption above, or to the right.
    box.classList.toggle("inside", y < 0.08 * this.size.height);
    box.classList.toggle("left", x > 0.75 * this.size.width);
    const share = (part, whole) => `${(100 * part) / whole}%`;
    box.style.left = share(x, this.size.width);
    box.style.top = share(y, this.size.height);
    box.style.width = share(width, this.size.width);
    box.style.height = share(height, this.size.height);
    paint(box, one.category_id);
    const caption = document.createElement("span");
    caption.textContent = `${one.category} ${one.score.toFixed(2)}`;
    box.append(caption);
    return box;
  }
}

function row(one, box) {
  const [x, y, width, height] = one.box_xywh_px.map(Math.round);
  const item = document.createElement("li");
  item.tabIndex = 0;
  paint(item, one.category_id);
  const name = document.createElement("span");
  const place = document.createElement("small");
  name.textContent = one.category;
  place.textContent = `${width}×${height} at ${x}, ${y}`;
  name.append(place);
  const score = document.createElement("b");
  score.textContent = one.score.toFixed(2);
  item.append(document.createElement("i"), name, score);
  const mark = (marked) => {
    box.classList.toggle("marked", marked);
    box.closest(".stage")?.classList.toggle("marking", marked);
  };
  for (const event of ["mouseenter", "focus"]) item.addEventListener(event, () => mark(true));
  for (const event of ["mouseleave", "blur"]) item.addEventListener(event, () => mark(false));
  return item;
}

/** The colours of trainers/detection/results/drawing.py, so pictures agree everywhere. */
function paint(node, key) {
  const hue = (key * 0.6180339887498949 + 0.72) % 1;
  const lightness = [0.4, 0.5, 0.66][key % 3];
  const channels = [0, 8, 4].map((offset) => {
    const k = (offset + 12 * hue) % 12;
    const chroma = 0.9 * Math.min(lightness, 1 - lightness);
    return lightness - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1));
  });
  const [red, green, blue] = channels.map((c) => ((c + 0.055) / 1.055) ** 2.4);
  const bright = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18;
  const bytes = channels.map((c) => Math.round(255 * c));
  node.style.setProperty("--colour", `rgb(${bytes.join(" ")})`);
  node.style.setProperty("--on-colour", bright ? "#0f0f0f" : "#ffffff");
}

function blank({ width_px: width, height_px: height }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = "#94a3b8";
  context.fillRect(0, 0, width, height);
  return canvas.toDataURL();
}

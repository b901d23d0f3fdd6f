// The page: which model there is, and photographs that come in.

import { Compression } from "./compression.js";
import { Detection } from "./detection.js";
import { currentModel, seconds } from "./requests.js";

const element = (id) => document.getElementById(id);
const results = { detector: new Detection(), codec: new Compression() };
const words = {
  detector: {
    heading: "Find objects in a photograph",
    lead: (model) => `It looks for ${listed(model.categories.map((one) => one.name))}.`,
  },
  codec: {
    heading: "Compress a photograph",
    lead: () => "Every iteration adds to the stream and refines the picture. Any " +
      "beginning of the stream decodes.",
  },
};
let model = null;
let photograph = null;
let turn = 0; // of the photographs: only the last one may show anything

const page = {
  /** Whether the photograph of this turn still is the last. */
  isLast: (asked) => asked === turn,
  say(text) {
    element("busy").hidden = !text;
    element("busy").firstElementChild.textContent = text ?? "";
  },
  complain(text) {
    element("problem").hidden = !text;
    element("problem").textContent = text ?? "";
  },
  /** To be told which version answered: another one than shown is looked up. */
  async answeredBy(version) {
    if (version && version !== model?.version) await lookUp();
  },
};

async function lookUp() {
  const before = model?.kind;
  model = await currentModel();
  const { heading, lead } = words[model.kind];
  element("heading").textContent = heading;
  element("lead").textContent = lead(model);
  element("model").textContent =
    `${model.alias}: ${model.kind}, version ${model.version}, ${model.model_id}`;
  const late = model.problem !== null;
  element("model").classList.toggle("late", late);
  element("model").title = late ? model.problem.message : "";
  element("limits").textContent = limitsOf(model.limits);
  element("file").disabled = false;
  if (before && before !== model.kind) results[before].hide();
}

async function follow() {
  for (;;) {
    try {
      await lookUp();
    } catch (error) {
      element("model").textContent = error.message;
      element("model").classList.add("late");
    }
    await seconds(model ? 15 : 2);
  }
}

async function take(file) {
  if (!file) return;
  turn += 1;
  const asked = turn;
  page.complain(null);
  if (photograph) URL.revokeObjectURL(photograph.url);
  photograph = null;
  for (const result of Object.values(results)) result.hide();
  const taken = { file, url: URL.createObjectURL(file) };
  photograph = taken;
  try {
    await lookUp();
    element("drop").classList.add("small");
    await results[model.kind].show(taken, model, page, asked).catch(async (error) => {
      // The alias has moved to the other kind of model in this very moment.
      if (error.status !== 409 || !page.isLast(asked)) throw error;
      await lookUp();
      await results[model.kind].show(taken, model, page, asked);
    });
  } catch (error) {
    if (page.isLast(asked)) page.complain(error.message);
  } finally {
    if (page.isLast(asked)) page.say(null);
  }
}

function limitsOf({ max_body_bytes: bytes, max_pixels: pixels }) {
  const millions = (number) => Number((number / 1e6).toPrecision(2));
  return `up to ${millions(bytes)} MB and ${millions(pixels)} megapixels`;
}

function listed(names) {
  const shown = names.slice(0, 8);
  const more = names.length - shown.length;
  if (more > 0) return `${shown.join(", ")} and ${more} more`;
  return shown.length < 2
    ? shown.join("")
    : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

element("file").addEventListener("change", (event) => {
  take(event.target.files[0]);
  event.target.value = ""; // or the same file could not be chosen again
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  element("drop").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) element("drop").classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  element("drop").classList.remove("over");
  take(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => take(event.clipboardData?.files[0]));

follow();

// A photograph beside what any beginning of its stream decodes to.

import { ask, versionOf } from "./requests.js";

const LONGEST_SIDE_PX = 1024; // more would take a processor minutes
const HEADER_BYTES = 28; // trainers/codec/streams/bitstream.py
const CHUNK_OVERHEAD_BYTES = 8;
const element = (id) => document.getElementById(id);

export class Compression {
  constructor() {
    this.pictures = new Map(); // iterations to an object URL and the version
    element("iterations").addEventListener("input", () => this.move());
    element("save-picture").addEventListener("click", () => {
      const wanted = this.wanted();
      const picture = this.pictures.get(wanted);
      if (picture) save(picture.url, `${this.name}-${wanted}.png`);
    });
    element("save-stream").addEventListener("click", () => this.saveStream());
  }

  hide() {
    element("compression").hidden = true;
    element("compressed").removeAttribute("src");
    delete element("compressed").dataset.shown;
    this.forget();
    if (this.source) URL.revokeObjectURL(this.source.url);
    this.stream = this.source = null;
  }

  forget() {
    for (const { url } of this.pictures.values()) URL.revokeObjectURL(url);
    this.pictures = new Map();
  }

  async show(photograph, model, page, turn) {
    Object.assign(this, { page, turn, name: nameOf(photograph.file) });
    page.say("Compressing");
    const source = await sourceOf(photograph);
    if (!page.isLast(turn)) return;
    this.source = source;
    this.fileBytes = photograph.file.size;
    const slider = element("iterations");
    slider.max = model.iterations;
    slider.value = Math.min(Number(slider.value), model.iterations);
    await this.compress();
    if (!page.isLast(turn)) return;
    element("original").src = source.url;
    element("original").alt = "Your photograph";
    element("original-facts").replaceChildren(bold("Original"), `, ${source.note}`);
    element("compression").hidden = false;
    await this.move();
  }

  async compress() {
    const most = element("iterations").max;
    const response = await ask(`/v1/compress?iterations=${most}`, this.source.blob);
    const stream = await response.arrayBuffer();
    const view = new DataView(stream);
    this.forget(); // pictures of another version's stream
    this.width = view.getUint32(16, true);
    this.height = view.getUint32(20, true);
    this.chunkBytes = CHUNK_OVERHEAD_BYTES + view.getUint32(HEADER_BYTES, true);
    this.version = versionOf(response);
    this.stream = stream;
    await this.page.answeredBy(this.version);
  }

  wanted() {
    return Number(element("iterations").value);
  }

  /** The stream that ends after so many iterations. */
  bytesOf(iterations) {
    return HEADER_BYTES + iterations * this.chunkBytes;
  }

  async move() {
    if (!this.stream) return;
    this.figures();
    if (this.moving) return; // the loop below sees the slider's new place
    this.moving = true;
    const { page, turn } = this;
    try {
      while (page.isLast(turn) && element("compressed").dataset.shown !== this.shown()) {
        await this.decode(this.wanted());
      }
      if (page.isLast(turn)) page.complain(null);
    } catch (error) {
      if (page.isLast(turn)) page.complain(error.message);
    } finally {
      this.moving = false;
      if (page.isLast(turn)) page.say(null);
    }
    if (!page.isLast(turn)) await this.move(); // for the photograph that came meanwhile
  }

  shown() {
    return `${this.turn}/${this.wanted()}`;
  }

  figures() {
    const iterations = this.wanted();
    const bytes = this.bytesOf(iterations);
    const share = (100 * bytes) / this.fileBytes;
    element("iterations-value").textContent = `${iterations} of ${element("iterations").max}`;
    element("bytes").textContent = bytes.toLocaleString("en");
    element("bpp").textContent = ((8 * bytes) / (this.width * this.height)).toFixed(3);
    element("share").textContent = `${share.toPrecision(share < 1 ? 1 : 2)} %`;
    element("compressed").classList.toggle(
      "waiting", element("compressed").dataset.shown !== this.shown());
  }

  async decode(iterations) {
    const { turn, page } = this;
    if (!this.pictures.has(iterations)) {
      page.say(`Decoding ${iterations} of ${element("iterations").max} iterations`);
      const part = this.stream.slice(0, this.bytesOf(iterations));
      let response;
      try {
        response = await ask(`/v1/decompress?iterations=${iterations}`, new Blob([part]));
      } catch (error) {
        if (!page.isLast(turn)) return;
        // The alias has moved: the new model does not read the old one's stream.
        if (error.status !== 422 || error.version === this.version) throw error;
        await this.compress();
        return;
      }
      const blob = await response.blob();
      if (!page.isLast(turn)) return;
      const made = { url: URL.createObjectURL(blob), version: versionOf(response) };
      this.pictures.set(iterations, made);
    }
    const picture = element("compressed");
    const { url, version } = this.pictures.get(iterations);
    picture.src = url;
    await picture.decode().catch(() => {});
    if (!page.isLast(turn)) return;
    picture.dataset.shown = `${turn}/${iterations}`;
    element("compressed-facts").replaceChildren(
      bold(`After ${iterations} iteration${iterations === 1 ? "" : "s"}`),
      `, decoded from ${this.bytesOf(iterations).toLocaleString("en")} bytes by version ${version}`,
    );
    this.figures();
  }

  async saveStream() {
    const wanted = this.wanted();
    try {
      // Not the beginning of ours, whose header promises all iterations.
      const response = await ask(`/v1/compress?iterations=${wanted}`, this.source.blob);
      const url = URL.createObjectURL(await response.blob());
      save(url, `${this.name}-${wanted}.hmc`);
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    } catch (error) {
      this.page.complain(error.message);
    }
  }
}

/** What is sent and shown: the file itself, or a smaller picture of a large one. */
async function sourceOf({ file }) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  // Not shown by this browser: the server knows more formats, or says what is wrong.
  if (!bitmap) return { blob: file, url: URL.createObjectURL(file), note: file.name };
  const { width, height } = bitmap;
  const scale = LONGEST_SIDE_PX / Math.max(width, height);
  if (scale >= 1) {
    return { blob: file, url: URL.createObjectURL(file), note: `${width}×${height} pixels` };
  }
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
  const note = `shrunk here from ${width}×${height} to ${canvas.width}×${canvas.height} pixels`;
  return { blob, url: URL.createObjectURL(blob), note };
}

const nameOf = (file) => file.name.replace(/\.[^.]*$/, "") || "photograph";

function bold(text) {
  const node = document.createElement("b");
  node.textContent = text;
  return node;
}

function save(url, name) {
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
}

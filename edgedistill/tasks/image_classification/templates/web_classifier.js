// SPDX-License-Identifier: Apache-2.0
// A picture in, classes out, in a browser: onnxruntime-web, and a model that resizes and normalises in its graph.

/** Red, green and blue bytes, row by row. */
export class Picture {
  constructor(rgb, height, width) {
    Object.assign(this, { rgb, height, width });
  }

  /** Decode a file, upright; transparency is dropped, and with it the colour of pixels that are wholly transparent. */
  static async of(file) {
    const bitmap = await createImageBitmap(file).catch((failure) => {
      throw failure.name === "InvalidStateError" ? new Error("This is no picture.", { cause: failure }) : failure; // not decoded
    });
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    const context = canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    return new Picture(data.filter((_, index) => index % 4 < 3), bitmap.height, bitmap.width);
  }

  /** A picture of {{ golden_file }}: base64 of bytes, row by row, one a pixel where they are grey and else three. */
  static golden({ pixels, picture, height, width }, { side, channels }) {
    const bytes = Uint8Array.from(atob(picture ?? pixels), (character) => character.charCodeAt(0));
    const rgb = channels === 3 ? bytes : Uint8Array.from({ length: 3 * bytes.length }, (_, index) => bytes[Math.floor(index / 3)]);
    return new Picture(rgb, height ?? side, width ?? side);
  }
}

/** The model with its labels. */
export class Classifier {
  constructor(ort, session, labels) {
    Object.assign(this, { ort, session, labels });
  }

  /** Load everything below `base`, the bundle's address, with onnxruntime-web as `ort`. */
  static async load(ort, base) {
{% include "parts/read.js" %}
    const { labels } = await (await read("labels.json")).json();
    const model = new Uint8Array(await (await read("{{ model_file }}")).arrayBuffer());
    return new Classifier(ort, await ort.InferenceSession.create(model, { executionProviders: ["wasm"] }), labels);
  }

  /** Raw logits of a picture of any size, in the order of the labels. */
  async logits({ rgb, height, width }) {
    const image = new this.ort.Tensor("uint8", Uint8Array.from(rgb), [height, width, 3]);
    const { logits } = await this.session.run({ image }, ["logits"]);
    return Array.from(logits.data);
  }

  /** All classes of a picture with their probabilities, most probable first. */
  async classify(picture) {
    const logits = await this.logits(picture);
{% include "parts/ranked.js" %}
  }
}

/** Replay golden pictures: how many classes are the golden ones, how far the furthest logit is off, and what is allowed. */
export async function replay(classifier, golden) {
  const found = { vectors: golden.vectors.length, equalLabels: 0, furthest: 0 };
  found.tolerance = golden.tolerances.wasm ?? golden.tolerance;
  for (const vector of golden.vectors) {
    const mine = await classifier.logits(Picture.golden(vector, golden));
    found.equalLabels += classifier.labels[mine.indexOf(Math.max(...mine))] === vector.label;
    found.furthest = Math.max(found.furthest, ...mine.map((logit, index) => Math.abs(logit - vector.logits[index])));
  }
  return { ...found, passed: found.equalLabels === found.vectors && found.furthest <= found.tolerance };
}

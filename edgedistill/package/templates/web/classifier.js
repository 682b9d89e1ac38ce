// SPDX-License-Identifier: Apache-2.0
// Text in, classes out, in a browser: WordPiece over tokenizer.json (tokens that share an id included), and onnxruntime-web.

const CONTINUES = "##";
const NO_PIECE = "\ue000"; // stands for a character that no token is made of

/** BERT's tokenizer, from tokenizer.json and characters.json. */
export class Tokenizer {
  constructor(tokenizer, characters) {
    this.vocabulary = new Map(Object.entries(tokenizer.model.vocab));
    this.specials = (tokenizer.added_tokens || []).map((token) => token.content);
    for (const token of tokenizer.added_tokens || []) this.vocabulary.set(token.content, token.id);
    this.unknown = this.vocabulary.get(tokenizer.model.unk_token);
    this.maxWord = tokenizer.model.max_input_chars_per_word;
    this.maxTokens = tokenizer.truncation.max_length;
    this.images = new Map(Object.entries(characters.image));
    this.dropped = characters.dropped;
    this.alone = characters.alone;
    this.frame = characters.frame;
  }

  /** Token ids of a text, special tokens counted. */
  encode(text) {
    const ids = [];
    for (const word of this.words(text)) ids.push(...this.pieces(word));
    return [this.frame[0], ...ids.slice(0, this.maxTokens - 2), this.frame[1]];
  }

  /** Words of a text, normalized. */
  words(text) {
    let line = "";
    // Half a surrogate pair is no character; what stands for such in UTF-8 is dropped by BERT.
    for (const unit of this.units(text.replace(/\p{Surrogate}/gu, "\ufffd"))) {
      line += this.specials.includes(unit) ? ` ${unit} ` : this.image(unit);
    }
    return line.split(" ").filter((word) => word !== "");
  }

  /** Special tokens as they stand in the text, and the characters between them. */
  *units(text) {
    for (let at = 0; at < text.length; ) {
      const special = this.specials.find((token) => text.startsWith(token, at));
      const unit = special || String.fromCodePoint(text.codePointAt(at));
      yield unit;
      at += unit.length;
    }
  }

  image(character) {
    const code = character.codePointAt(0);
    const within = (ranges) => ranges.some(([first, last]) => first <= code && code <= last);
    if (within(this.dropped)) return "";
    const image = this.images.get(character) ?? NO_PIECE;
    return within(this.alone) ? ` ${image} ` : image;
  }

  /** Ids of one word by greedy search for the longest piece; a word that has a gap is unknown as a whole. */
  pieces(word) {
    if (this.specials.includes(word)) return [this.vocabulary.get(word)];
    const characters = Array.from(word);
    if (characters.length > this.maxWord) return [this.unknown];
    const ids = [];
    for (let start = 0; start < characters.length; ) {
      let end = characters.length;
      let id;
      for (; end > start; end--) {
        id = this.vocabulary.get((start ? CONTINUES : "") + characters.slice(start, end).join(""));
        if (id !== undefined) break;
      }
      if (id === undefined) return [this.unknown];
      ids.push(id);
      start = end;
    }
    return ids;
  }
}

/** The model with its tokenizer and labels. */
export class Classifier {
  constructor(ort, session, tokenizer, labels) {
    Object.assign(this, { ort, session, tokenizer, labels });
  }

  /** Load everything below `base`, the bundle's address, with onnxruntime-web as `ort`. */
  static async load(ort, base) {
{% include "parts/read.js" %}
    const [tokenizer, characters, labels] = await Promise.all(
      ["tokenizer.json", "web/characters.json", "labels.json"].map(async (name) => (await read(name)).json()),
    );
    const model = new Uint8Array(await (await read("model.onnx")).arrayBuffer());
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    return new Classifier(ort, session, new Tokenizer(tokenizer, characters), labels.labels);
  }

  /** Raw logits of one text, in the order of the labels. */
  async logits(text) {
    const ids = this.tokenizer.encode(text);
    const feeds = {};
    for (const name of this.session.inputNames) {
      const value = { input_ids: ids, attention_mask: ids.map(() => 1), token_type_ids: ids.map(() => 0) }[name];
      feeds[name] = this.tensor(name, value);
    }
    const answer = await this.session.run(feeds);
    return Array.from(answer[this.session.outputNames[0]].data);
  }

  tensor(name, values) {
    const kind = INPUT_TYPES[name];
    const data = kind === "int32" ? Int32Array.from(values) : BigInt64Array.from(values.map(BigInt));
    return new this.ort.Tensor(kind, data, [1, values.length]);
  }
{%- if has_several %}

{% include "parts/several.js" %}
{%- else %}

  /** All classes of one text with their probabilities, most probable first. */
  async classify(text) {
    const logits = await this.logits(text);
{% include "parts/ranked.js" %}
  }
{%- endif %}
}

/**
 * Replay golden vectors: how many ids and classes are the golden ones, how far the furthest logit is off, and what is
 * allowed in a browser. int8 rounds activations, so a last bit of a float operator can move one to the next of 256 steps.
 */
export async function replay(classifier, golden) {
  const found = { vectors: golden.vectors.length, equalIds: 0, equalLabels: 0, furthest: 0 };
  found.tolerance = golden.tolerances.wasm ?? golden.tolerance;
  for (const { text, ids, logits{{ "" if has_several else ", label" }} } of golden.vectors) {
    const mine = await classifier.logits(text);
    found.equalIds += JSON.stringify(classifier.tokenizer.encode(text)) === JSON.stringify(ids);
{%- if has_several %}
    // A class whose logit is nearer to 0 than the tolerance may be on either side.
    found.equalLabels += logits.every((logit, index) => Math.abs(logit) <= found.tolerance || logit > 0 === mine[index] > 0);
{%- else %}
    found.equalLabels += classifier.labels[mine.indexOf(Math.max(...mine))] === label;
{%- endif %}
    found.furthest = Math.max(found.furthest, ...mine.map((logit, index) => Math.abs(logit - logits[index])));
  }
  const isSame = found.equalIds === found.vectors && found.equalLabels === found.vectors;
  return { ...found, passed: isSame && found.furthest <= found.tolerance };
}

const INPUT_TYPES = {{ input_types | tojson }};

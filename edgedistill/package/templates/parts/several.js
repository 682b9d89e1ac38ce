  /** The classes that apply to one text, if any, and all classes; each with its own probability, most probable first. */
  async classify(text) {
    const logits = await this.logits(text);
    const ranked = Array.from(logits.keys())
      .sort((a, b) => logits[b] - logits[a])
      .map((index) => ({ label: this.labels[index], probability: 1 / (1 + Math.exp(-logits[index])) }));
    return { labels: ranked.slice(0, logits.filter((logit) => logit > 0).length), ranked };
  }

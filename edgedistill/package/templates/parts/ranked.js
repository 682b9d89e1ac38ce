    const largest = Math.max(...logits);
    const weights = logits.map((logit) => Math.exp(logit - largest));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return weights
      .map((weight, index) => ({ label: this.labels[index], probability: weight / total }))
      .sort((a, b) => b.probability - a.probability);

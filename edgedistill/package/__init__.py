"""package: the bundle that an app loads: model, tokenizer in the graph, sources for apps, card, licences, golden vectors."""

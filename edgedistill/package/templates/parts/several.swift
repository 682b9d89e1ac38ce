    /// Which classes apply to one text, and how probable each is.
    public func classify(_ text: String) throws -> Answer {
        let found = try logits(text)
        let ranked = found.indices.sorted { found[$0] > found[$1] }
            .map { Prediction(label: {{ classifier }}.labels[$0], probability: 1 / (1 + exp(-found[$0]))) }
        return Answer(labels: Array(ranked.prefix(found.filter { $0 > 0 }.count)), ranked: ranked)
    }

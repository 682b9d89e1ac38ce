        return zip({{ classifier }}.labels, probabilities)
            .map { Prediction(label: $0, probability: $1) }
            .sorted { $0.probability > $1.probability }

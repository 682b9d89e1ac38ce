            .mapIndexed { index, probability -> Prediction(LABELS[index], probability) }
            .sortedByDescending { it.probability }

    /** Which classes apply to one text, and how probable each is. */
    fun classify(text: String): Answer {
        val (logits, probabilities) = run(text)
        val ranked = LABELS.indices.sortedByDescending { logits[it] }.map { Prediction(LABELS[it], probabilities[it]) }
        return Answer(ranked.take(logits.count { it > 0 }), ranked)
    }

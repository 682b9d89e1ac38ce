/** A class and its probability, 0 to 1. */
data class Prediction(val label: String, val probability: Float)

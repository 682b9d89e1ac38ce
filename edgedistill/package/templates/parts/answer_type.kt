/**
 * What the model says of one text.
 *
 * @property labels the classes that apply, which are those with a probability above 0.5; there may be none
 * @property ranked all classes; each has a probability of its own, and both lists come most probable first
 */
data class Answer(val labels: List<Prediction>, val ranked: List<Prediction>)

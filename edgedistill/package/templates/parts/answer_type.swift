/// What the model says of one text.
public struct Answer: Equatable {
    /// The classes that apply, which are those with a probability above 0.5; there may be none.
    public let labels: [Prediction]
    /// All classes; each has a probability of its own, and both lists come most probable first.
    public let ranked: [Prediction]
}

/// A class and its probability, 0 to 1.
public struct Prediction: Equatable {
    public let label: String
    public let probability: Float
}

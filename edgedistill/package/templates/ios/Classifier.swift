// SPDX-License-Identifier: Apache-2.0
import Foundation
import OnnxRuntimeBindings
import OnnxRuntimeExtensions

{% include "parts/prediction.swift" %}

/// The model did not answer as it should.
public enum ClassifierError: Error {
    case missingFile(String)
    case badAnswer(String)
}

/// The model of {{ title }}: text in, all {{ labels | length }} classes out. Not to be used by two threads at once.
public final class Classifier {
{% include "parts/labels.swift" %}

    static let modelFile = "{{ model_file }}"
    private let environment: ORTEnv
    private let session: ORTSession

    /// Open the model.
    ///
    /// - Parameters:
    ///   - model: {{ model_file }}; nil takes the one in this package.
    ///   - threads: threads of one call.
    public init(model: URL? = nil, threads: Int32 = 1) throws {
        let file = try model ?? Classifier.resource(Classifier.modelFile)
        environment = try ORTEnv(loggingLevel: .warning)
        let options = try ORTSessionOptions()
        try options.registerCustomOps(functionPointer: OrtExt.getRegisterCustomOpsFunctionPointer())
        try options.setIntraOpNumThreads(threads)
        session = try ORTSession(env: environment, modelPath: file.path, sessionOptions: options)
    }

    /// Classify one text; the classes come most probable first.
    public func classify(_ text: String) throws -> [Prediction] {
        let probabilities = try run(text, output: "probabilities")
        return zip(Classifier.labels, probabilities)
            .map { Prediction(label: $0, probability: $1) }
            .sorted { $0.probability > $1.probability }
    }

    /// Raw logits of one text, in the order of `labels`.
    public func logits(_ text: String) throws -> [Float] {
        try run(text, output: "logits")
    }

    static func resource(_ name: String) throws -> URL {
        guard let url = Bundle.module.url(forResource: name, withExtension: nil) else {
            throw ClassifierError.missingFile(name)
        }
        return url
    }

    private func run(_ text: String, output: String) throws -> [Float] {
        // A string ends at U+0000 on its way into the graph; U+0001 is dropped by the tokenizer just the same.
        let whole = text.replacingOccurrences(of: "\u{0}", with: "\u{1}")
        let input = try ORTValue(tensorStringData: [whole], shape: [1])
        let answer = try session.run(withInputs: ["text": input], outputNames: [output], runOptions: nil)
        guard let value = answer[output] else { throw ClassifierError.badAnswer(output) }
        let data = try value.tensorData() as Data
        guard data.count == Classifier.labels.count * MemoryLayout<Float>.stride else {
            throw ClassifierError.badAnswer("\(data.count) bytes of \(output)")
        }
        return data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
}

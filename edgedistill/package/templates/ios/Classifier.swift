// SPDX-License-Identifier: Apache-2.0
import Foundation
import OnnxRuntimeBindings
import OnnxRuntimeExtensions

{% include "parts/prediction.swift" %}
{%- if has_several %}

{% include "parts/answer_type.swift" %}
{%- endif %}

/// The model did not answer as it should.
public enum ClassifierError: Error {
    case missingFile(String)
    case badAnswer(String)
}

/// The model of {{ title }}: text in, all {{ labels | length }} classes out. Not to be used by two threads at once.
public final class Classifier {
{% include "parts/labels.swift" %}

{% include "parts/open.swift" %}
{%- if has_several %}

{% include "parts/several.swift" %}
{%- else %}

    /// Classify one text; the classes come most probable first.
    public func classify(_ text: String) throws -> [Prediction] {
        let probabilities = try run(text, output: "probabilities")
{% include "parts/ranked.swift" %}
    }
{%- endif %}

    /// Raw logits of one text, in the order of `labels`.
    public func logits(_ text: String) throws -> [Float] {
        try run(text, output: "logits")
    }

{% include "parts/resource.swift" %}

    private func run(_ text: String, output: String) throws -> [Float] {
        // A string ends at U+0000 on its way into the graph; U+0001 is dropped by the tokenizer just the same.
        // Literally: else characters are compared as they are composed, and not by their code points.
        let whole = text.replacingOccurrences(of: "\u{0}", with: "\u{1}", options: .literal)
        let input = try ORTValue(tensorStringData: [whole], shape: [1])
        let answer = try session.run(withInputs: ["text": input], outputNames: [output], runOptions: nil)
{% include "parts/answer.swift" %}
    }
}

// SPDX-License-Identifier: Apache-2.0
import Foundation
import XCTest

@testable import {{ classifier }}

/// Replays the golden vectors on the device: the same {{ decision }}, and every logit within the tolerance.
final class GoldenVectorsTests: XCTestCase {
    private struct Vector: Decodable {
        let text: String
        let logits: [Float]
        let {{ "labels: [String]" if has_several else "label: String" }}
    }

    private struct Golden: Decodable {
        let tolerance: Float
        let tolerances: [String: Float]
        let vectors: [Vector]

        /// How far a logit may be off on this instruction set.
        var toleranceHere: Float {
            #if arch(arm64)
            return tolerances["aarch64"] ?? tolerance
            #else
            return tolerances["x86_64"] ?? tolerance
            #endif
        }
    }

    func testGoldenVectorsWhenReplayedGiveTheSameAnswers() throws {
        let data = try Data(contentsOf: {{ classifier }}.resource("{{ golden_file }}"))
        let golden = try JSONDecoder().decode(Golden.self, from: data)
        let classifier = try {{ classifier }}()
        for position in golden.vectors.indices {
            let vector = golden.vectors[position]
            let asked = {{ asked_swift }}
{%- if has_several %}
            // A class whose logit is nearer to 0 than the tolerance may be on either side.
            let clear = Set(zip({{ classifier }}.labels, vector.logits).filter { abs($0.1) > golden.toleranceHere }.map { $0.0 })
            let found = try Set(classifier.classify(asked).labels.map(\.label))
            XCTAssertEqual(found.intersection(clear), Set(vector.labels).intersection(clear), vector.text)
{%- else %}
            XCTAssertEqual(try classifier.classify(asked).first?.label, vector.label, vector.text)
{%- endif %}
            for (found, expected) in zip(try classifier.logits(asked), vector.logits) {
                XCTAssertEqual(found, expected, accuracy: golden.toleranceHere, vector.text)
            }
        }
    }
}

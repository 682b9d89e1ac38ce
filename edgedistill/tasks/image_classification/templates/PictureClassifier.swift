// SPDX-License-Identifier: Apache-2.0
import CoreGraphics
import Foundation
import OnnxRuntimeBindings

{% include "parts/prediction.swift" %}

/// A file or the picture cannot be read, or the model did not answer as it should.
public enum PictureClassifierError: Error {
    case missingFile(String)
    case unreadablePicture
    case badAnswer(String)
}

/// The model of {{ title }}: a picture in, all {{ labels | length }} classes out. Not to be used by two threads at once.
/// Resizing and normalising are inside of the model.
public final class PictureClassifier {
{% include "parts/labels.swift" %}

{% include "parts/open.swift" %}

    /// Classify a picture of any size, upright; the classes come most probable first.
    public func classify(_ bitmap: CGImage) throws -> [Prediction] {
        let probabilities = try run(bitmap, output: "probabilities")
{% include "parts/ranked.swift" %}
    }

    /// Raw logits of a picture, in the order of `labels`.
    public func logits(_ bitmap: CGImage) throws -> [Float] {
        try run(bitmap, output: "logits")
    }

{% include "parts/resource.swift" %}

    /// Red, green and blue of every pixel, row by row; what is transparent is blended with black.
    static func rgb(of bitmap: CGImage) throws -> Data {
        var rgba = [UInt8](repeating: 0, count: 4 * bitmap.width * bitmap.height)
        let drawn = rgba.withUnsafeMutableBytes { bytes -> Bool in
            guard let context = CGContext(
                data: bytes.baseAddress, width: bitmap.width, height: bitmap.height, bitsPerComponent: 8,
                bytesPerRow: 4 * bitmap.width, space: CGColorSpaceCreateDeviceRGB(),
                bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue
            ) else { return false }
            context.draw(bitmap, in: CGRect(x: 0, y: 0, width: bitmap.width, height: bitmap.height))
            return true
        }
        guard drawn else { throw PictureClassifierError.unreadablePicture }
        var rgb = Data(capacity: 3 * bitmap.width * bitmap.height)
        for pixel in stride(from: 0, to: rgba.count, by: 4) { rgb.append(contentsOf: rgba[pixel..<pixel + 3]) }
        return rgb
    }

    private func run(_ bitmap: CGImage, output: String) throws -> [Float] {
        let rgb = try PictureClassifier.rgb(of: bitmap)
        let shape: [NSNumber] = [NSNumber(value: bitmap.height), NSNumber(value: bitmap.width), 3]
        let input = try ORTValue(tensorData: NSMutableData(data: rgb), elementType: .uInt8, shape: shape)
        let answer = try session.run(withInputs: ["image": input], outputNames: [output], runOptions: nil)
{% include "parts/answer.swift" %}
    }
}

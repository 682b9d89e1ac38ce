// SPDX-License-Identifier: Apache-2.0
import CoreGraphics
import Foundation
import OnnxRuntimeBindings

{% include "parts/prediction.swift" %}

/// The picture cannot be read, or the model did not answer as it should.
public enum PictureClassifierError: Error {
    case unreadablePicture
    case badAnswer(String)
}

/// The model of {{ title }}: a picture in, all {{ labels | length }} classes out. Not to be used by two threads at once.
/// Resizing and normalising are inside of the model.
public final class PictureClassifier {
{% include "parts/labels.swift" %}

    private let environment: ORTEnv
    private let session: ORTSession

    /// Open the model.
    ///
    /// - Parameters:
    ///   - model: {{ model_file }}.
    ///   - threads: threads of one call.
    public init(model: URL, threads: Int32 = 1) throws {
        environment = try ORTEnv(loggingLevel: .warning)
        let options = try ORTSessionOptions()
        try options.setIntraOpNumThreads(threads)
        session = try ORTSession(env: environment, modelPath: model.path, sessionOptions: options)
    }

    /// Classify a picture of any size, upright; the classes come most probable first.
    public func classify(_ bitmap: CGImage) throws -> [Prediction] {
        let rgb = try PictureClassifier.rgb(of: bitmap)
        let probabilities = try run(rgb, height: bitmap.height, width: bitmap.width, output: "probabilities")
        return zip(PictureClassifier.labels, probabilities)
            .map { Prediction(label: $0, probability: $1) }
            .sorted { $0.probability > $1.probability }
    }

    /// Raw logits, in the order of `labels`, of red, green and blue bytes, row by row.
    public func logits(_ rgb: Data, height: Int, width: Int) throws -> [Float] {
        try run(rgb, height: height, width: width, output: "logits")
    }

    /// Red, green and blue of every pixel, row by row; transparency is dropped.
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

    private func run(_ rgb: Data, height: Int, width: Int, output: String) throws -> [Float] {
        let shape: [NSNumber] = [NSNumber(value: height), NSNumber(value: width), 3]
        let input = try ORTValue(tensorData: NSMutableData(data: rgb), elementType: .uInt8, shape: shape)
        let answer = try session.run(withInputs: ["image": input], outputNames: [output], runOptions: nil)
        guard let value = answer[output] else { throw PictureClassifierError.badAnswer(output) }
        let data = try value.tensorData() as Data
        guard data.count == PictureClassifier.labels.count * MemoryLayout<Float>.stride else {
            throw PictureClassifierError.badAnswer("\(data.count) bytes of \(output)")
        }
        return data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
}

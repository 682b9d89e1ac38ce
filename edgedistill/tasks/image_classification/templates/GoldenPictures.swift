// SPDX-License-Identifier: Apache-2.0
import CoreGraphics
import Foundation

@testable import {{ classifier }}

/// The pictures of {{ golden_file }}: base64 of bytes, row by row, one a pixel where they are grey and else three.
struct GoldenPictures: Decodable {
    private struct Vector: Decodable {
        let pixels: Data
        /// Of a size that the model has to resize, where there is one.
        let picture: Data?
        let height: Int?
        let width: Int?
    }

    private let side: Int
    private let channels: Int
    private let vectors: [Vector]

    /// Return the picture at a position of the list.
    static func image(at position: Int) throws -> CGImage {
        let data = try Data(contentsOf: {{ classifier }}.resource("{{ golden_file }}"))
        let golden = try JSONDecoder().decode(GoldenPictures.self, from: data)
        return try golden.image(of: golden.vectors[position])
    }

    private func image(of vector: Vector) throws -> CGImage {
        let pixels = vector.picture ?? vector.pixels
        let (width, height) = (vector.width ?? side, vector.height ?? side)
        let rgb = channels == 3 ? pixels : Data(pixels.flatMap { [$0, $0, $0] })
        guard let provider = CGDataProvider(data: rgb as CFData),
            let image = CGImage(
                width: width, height: height, bitsPerComponent: 8, bitsPerPixel: 24, bytesPerRow: 3 * width,
                space: CGColorSpaceCreateDeviceRGB(), bitmapInfo: CGBitmapInfo(rawValue: CGImageAlphaInfo.none.rawValue),
                provider: provider, decode: nil, shouldInterpolate: false, intent: .defaultIntent
            )
        else { throw {{ classifier }}Error.unreadablePicture }
        return image
    }
}

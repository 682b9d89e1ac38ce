// swift-tools-version:5.9
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// The whole bundle is the package: add its folder to an app as a local package.
let package = Package(
    name: "{{ classifier }}",
    platforms: [.iOS(.v15), .macOS(.v14)],
    products: [.library(name: "{{ classifier }}", targets: ["{{ classifier }}"])],
    dependencies: [
        .package(url: "https://github.com/microsoft/onnxruntime-swift-package-manager", exact: "{{ swift_package_version }}")
    ],
    targets: [
        .target(
            name: "{{ classifier }}",
            dependencies: [
                .product(name: "onnxruntime", package: "onnxruntime-swift-package-manager"),
{%- if has_extensions %}
                .product(name: "onnxruntime_extensions", package: "onnxruntime-swift-package-manager"),
{%- endif %}
            ],
            path: ".",
            exclude: [{{ excluded | join(", ") }}],
            sources: ["ios/Sources"],
            resources: [.copy("{{ model_file }}"), .copy("{{ golden_file }}")]
        ),
        .testTarget(name: "{{ classifier }}Tests", dependencies: ["{{ classifier }}"], path: "ios/Tests"),
    ]
)

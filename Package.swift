// swift-tools-version: 6.3
// SPDX-License-Identifier: GPL-3.0-or-later
import PackageDescription

/// Settings of every Swift target: warnings are errors, Swift 6 language mode by the tools version.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

/// Settings of everything that is loaded into somebody else's process.
let guest: [SwiftSetting] = strict + [.strictMemorySafety()]

/// What protects C and C++ against their own faults: guarded stacks, checked calls of the C library where the optimiser
/// knows sizes, checked indices of the C++ library, and indirect jumps to where they belong.
#if arch(x86_64)
    let branches = ["-fcf-protection=full"]
#else
    let branches = ["-mbranch-protection=standard"]
#endif
let guards = ["-fstack-protector-strong", "-fstack-clash-protection"] + branches
let hardenedC: [CSetting] = [
    .unsafeFlags(guards + ["-Wall", "-Wextra", "-Werror"]),
    .define("_FORTIFY_SOURCE", to: "3", .when(configuration: .release)),
]
let hardenedCXX: [CXXSetting] = [
    .unsafeFlags(guards),
    .define("_FORTIFY_SOURCE", to: "3", .when(configuration: .release)),
    .define("_GLIBCXX_ASSERTIONS"),
]

/// Addresses of other libraries are all looked up at start and cannot be written afterwards.
let bound = ["-Xlinker", "-z", "-Xlinker", "relro", "-Xlinker", "-z", "-Xlinker", "now"]

/// A program carries its own Swift runtime, so that it neither needs nor finds a toolchain where it runs: also not the
/// runtime's tracer of crashes, which writes memory into the log. Not in debug builds: tests load the runtime, and one
/// process must not have two.
let program: [LinkerSetting] = [
    .unsafeFlags(bound),
    .unsafeFlags(
        [
            "-static-stdlib", "-lFoundation", "-lFoundationInternationalization", "-lFoundationEssentials",
            "-lCoreFoundation", "-l_FoundationCollections", "-l_FoundationCShims", "-l_FoundationICU",
            "-lswiftSynchronization", "-lswiftDispatch", "-ldispatch", "-lBlocksRuntime",
        ], .when(configuration: .release)),
]

/// The plugin carries its own Swift runtime, shows only the names in `plugin/exports.map`, and stays mapped after
/// `dlclose` (Orthanc closes its plugins while their threads may still be on their last instructions).
let selfContained: [LinkerSetting] = [
    .unsafeFlags(bound),
    .unsafeFlags([
        "-static-stdlib", "-Xlinker", "-z", "-Xlinker", "nodelete",
        "-Xlinker", "--version-script=plugin/exports.map",
        "-Xlinker", "--gc-sections", "-Xlinker", "--exclude-libs=ALL",
    ]),
]

let package = Package(
    name: "gantry",
    products: [
        // `libgantry.so`, the library a gateway loads.
        .library(name: "gantry", type: .dynamic, targets: ["OrthancAdapter"]),
        .executable(name: "gantry-worker", targets: ["gantry-worker"]),
        // Started by the worker, beside which it is installed.
        .executable(name: "gantry-decoder", targets: ["gantry-decoder"]),
        // Started by worker, hub and command line, beside which it is installed; the only one that links libtorch.
        .executable(name: "gantry-model", targets: ["gantry-model"]),
        .executable(name: "gantry-hub", targets: ["gantry-hub"]),
        // Installed as `gantry`: SwiftPM does not allow an executable to share the library's product name.
        .executable(name: "gantry-cli", targets: ["gantry-cli"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.81.0"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.20.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // MARK: Shared by the plugin and our own processes (no Foundation)
        // libzmq's C interface.
        .systemLibrary(name: "CZeroMQ", providers: [.apt(["libzmq3-dev"])]),
        // Sockets, polling, CURVE and ZAP over libzmq.
        .target(name: "ZeroMQ", dependencies: ["CZeroMQ"], swiftSettings: strict),
        // The messages between gateway and worker, as text frames.
        .target(name: "Wire", swiftSettings: strict),

        // MARK: The plugin
        // gantry.h, the contract with any gateway.
        .systemLibrary(name: "CGantry", path: "plugin/include"),
        // Orthanc's plugin SDK header.
        .systemLibrary(name: "COrthanc", path: "plugin/COrthanc", providers: [.apt(["orthanc-dev"])]),
        // SQLite's C interface, for a process that must not load Foundation.
        .systemLibrary(
            name: "CSQLite", path: "plugin/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        // SQLite connections, and reading JSON with them.
        .target(name: "SQLite", dependencies: ["CSQLite"], path: "plugin/SQLite", swiftSettings: guest),
        // Outbox, courier, flags and settings behind gantry.h.
        .target(
            name: "GatewayCore", dependencies: ["CGantry", "SQLite", "Wire", "ZeroMQ"], path: "plugin/Core",
            swiftSettings: guest),
        // Orthanc's hooks and REST, written on gantry.h alone.
        .target(
            name: "OrthancAdapter", dependencies: ["CGantry", "COrthanc", "GatewayCore", "SQLite"],
            path: "plugin/Orthanc", resources: [.embedInCode("App")], swiftSettings: guest,
            linkerSettings: selfContained),

        // MARK: Values and pure logic
        // Model package: manifest, content hash, version identity.
        .target(
            name: "ModelPackage", dependencies: [.product(name: "Crypto", package: "swift-crypto"), "CArchive"],
            swiftSettings: strict),
        // libarchive's C interface: a model package may be one zip file.
        .systemLibrary(name: "CArchive", pkgConfig: "libarchive", providers: [.apt(["libarchive-dev"])]),
        // Named float tensors and the safetensors format.
        .target(
            name: "Tensors", dependencies: [.product(name: "Crypto", package: "swift-crypto")], swiftSettings: strict),
        // The closed list of what a site and the hub say to each other, and the CURVE key files they use.
        .target(name: "Federation", dependencies: ["ModelPackage", "Tensors", "ZeroMQ"], swiftSettings: strict),
        // Proportions with their intervals, ROC curves, thresholds chosen on them.
        .target(name: "Statistics", swiftSettings: strict),
        // Slice scores to study findings, urgency, completeness.
        .target(name: "Triage", dependencies: ["ModelPackage", "Statistics"], swiftSettings: strict),
        // What people say about studies: documents and resources, and what their codes mean.
        .target(name: "Statements", dependencies: ["ModelPackage"], swiftSettings: strict),
        // When a round opens, who belongs to it, when it closes; aggregation arithmetic.
        .target(name: "Rounds", dependencies: ["Federation", "Tensors"], swiftSettings: strict),

        // MARK: Pixels and gradients
        // DCMTK, libjpeg, libjxl and OpenJPEG behind a plain C interface.
        .target(
            name: "CImaging",
            // Optimised in debug builds too: tests decode and render many frames.
            cxxSettings: hardenedCXX + [
                .unsafeFlags(["-I/usr/include/openjpeg-2.5", "-O3", "-Wall", "-Wextra", "-Werror"])
            ],
            linkerSettings: [
                .linkedLibrary("dcmjpeg"), .linkedLibrary("dcmjpls"), .linkedLibrary("dcmimage"),
                .linkedLibrary("dcmimgle"), .linkedLibrary("dcmdata"), .linkedLibrary("oflog"),
                .linkedLibrary("ofstd"), .linkedLibrary("jpeg"), .linkedLibrary("jxl"), .linkedLibrary("openjp2"),
                .linkedLibrary("z"),
            ]),
        // A DICOM instance to what a model sees.
        .target(name: "Imaging", dependencies: ["CImaging", "ModelPackage", "Statements"], swiftSettings: strict),
        // Structured reports, secondary captures and segmentations with DCMTK behind a plain C interface.
        .target(
            name: "CResults", cxxSettings: hardenedCXX + [.unsafeFlags(["-Wall", "-Wextra", "-Werror"])],
            linkerSettings: [
                .linkedLibrary("dcmseg"), .linkedLibrary("dcmfg"), .linkedLibrary("dcmiod"), .linkedLibrary("dcmsr"),
                .linkedLibrary("dcmdata"), .linkedLibrary("oflog"), .linkedLibrary("ofstd"),
            ]),
        // What a model found, as DICOM objects of the study.
        .target(
            name: "Results", dependencies: ["CResults", "Imaging", "ModelPackage", "Triage"], swiftSettings: strict),
        // Starting a process that reads what strangers wrote, confining it, and talking to it: namespaces, Landlock, seccomp.
        .target(
            name: "CSandbox", cSettings: hardenedC, linkerSettings: [.linkedLibrary("seccomp")]),
        // The same for Swift: both ends.
        .target(name: "Sandbox", dependencies: ["CSandbox"], swiftSettings: strict),
        // Instances are decoded in a process of their own: both ends.
        .target(
            name: "Decoding", dependencies: ["CSandbox", "Imaging", "ModelPackage", "Sandbox", "Statements"],
            swiftSettings: strict),
        // Synthetic studies with known truth.
        .target(name: "Phantoms", dependencies: ["CImaging", "Imaging", "ModelPackage"], swiftSettings: strict),
        // libtorch behind a plain C interface.
        .target(
            name: "CTorch",
            cxxSettings: hardenedCXX + [.unsafeFlags(["-isystem", "/usr/include/torch/csrc/api/include"])],
            linkerSettings: [.linkedLibrary("torch"), .linkedLibrary("torch_cpu"), .linkedLibrary("c10")]),
        // Scoring, training, checking and making TorchScript models, each in a process of its own: the near end of it.
        .target(name: "Torch", dependencies: ["ModelPackage", "Sandbox", "Tensors"], swiftSettings: strict),

        // MARK: State
        // Append-only, hash-chained record of decisions, and what others have seen of it.
        .target(
            name: "Audit",
            dependencies: [
                "Federation", "ModelPackage",
                .product(name: "GRDB", package: "GRDB.swift"), .product(name: "Crypto", package: "swift-crypto"),
            ], swiftSettings: strict),
        // worker.sqlite and the files beside it.
        .target(
            name: "WorkerStore",
            dependencies: [
                "Audit", "Federation", "ModelPackage", "Statements", "Statistics", "Tensors", "Triage", "Wire",
                .product(name: "GRDB", package: "GRDB.swift"),
            ], swiftSettings: strict),
        // hub.sqlite and the files beside it.
        .target(
            name: "HubStore",
            dependencies: [
                "Audit", "Federation", "ModelPackage", "Rounds", "Tensors",
                .product(name: "GRDB", package: "GRDB.swift"),
            ], swiftSettings: strict),

        // MARK: Services
        // One study from message to flag, one label from verdict to delta.
        .target(
            name: "WorkerService",
            dependencies: [
                "Decoding", "Federation", "Imaging", "ModelPackage", "Results", "Sandbox", "Statements", "Statistics",
                "Tensors", "Torch", "Triage", "Wire", "WorkerStore", "ZeroMQ",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: strict),
        // One round from opening to published version, and the status page.
        .target(
            name: "HubService",
            dependencies: [
                "Federation", "HubStore", "Rounds", "ZeroMQ",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], resources: [.embedInCode("status.html")], swiftSettings: strict),

        // MARK: Executables
        .executableTarget(
            name: "gantry-worker",
            dependencies: ["WorkerService", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: strict, linkerSettings: program),
        .executableTarget(
            name: "gantry-decoder", dependencies: ["Decoding"], swiftSettings: strict, linkerSettings: program),
        // The far end: libtorch, confined.
        .executableTarget(
            name: "gantry-model", dependencies: ["CSandbox", "CTorch", "Sandbox", "Torch"], swiftSettings: strict,
            linkerSettings: program),
        .executableTarget(
            name: "gantry-hub",
            dependencies: ["HubService", "Torch", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            swiftSettings: strict, linkerSettings: program),
        .executableTarget(
            name: "gantry-cli",
            dependencies: [
                "Audit", "Decoding", "Federation", "Phantoms", "Statements", "Statistics", "Torch", "Triage",
                "WorkerStore",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Sources/gantry", swiftSettings: strict, linkerSettings: program),

        // MARK: Tests (no servers)
        .testTarget(name: "WireTests", dependencies: ["Wire", "ZeroMQ"], swiftSettings: strict),
        .testTarget(
            name: "GatewayCoreTests", dependencies: ["GatewayCore", "CGantry", "SQLite", "Wire", "ZeroMQ"],
            swiftSettings: strict),
        .testTarget(
            name: "DecodingTests",
            dependencies: ["Decoding", "Imaging", "ModelPackage", "Phantoms", "Sandbox", "gantry-decoder"],
            swiftSettings: strict),
        .testTarget(
            name: "SandboxTests", dependencies: ["CSandbox", "Sandbox", "sandbox-probe"], swiftSettings: strict),
        // Confines itself and then tries what it should not.
        .executableTarget(
            name: "sandbox-probe", dependencies: ["CSandbox"], path: "Tests/SandboxProbe",
            cSettings: hardenedC),
        .testTarget(
            name: "ImagingTests", dependencies: ["CArchive", "Imaging", "ModelPackage", "Phantoms", "Statements"],
            swiftSettings: strict),
        .testTarget(
            name: "ResultsTests", dependencies: ["ModelPackage", "Phantoms", "Results", "Statistics", "Triage"],
            swiftSettings: strict),
        .testTarget(name: "CTorchTests", dependencies: ["CTorch"], swiftSettings: strict),
        .testTarget(
            name: "TorchTests", dependencies: ["Imaging", "Phantoms", "Torch", "gantry-model"],
            exclude: ["Fixtures/attention.py", "Fixtures/masks.py"],
            resources: [
                .copy("Fixtures/attention.ts"), .copy("Fixtures/masks.ts"), .copy("Fixtures/operators"),
            ], swiftSettings: strict),
        .testTarget(name: "StatementsTests", dependencies: ["ModelPackage", "Statements"], swiftSettings: strict),
        .testTarget(name: "StatisticsTests", dependencies: ["Statistics"], swiftSettings: strict),
        .testTarget(name: "ModelPackageTests", dependencies: ["ModelPackage", "Tensors"], swiftSettings: strict),
        .testTarget(
            name: "WorkerTests",
            dependencies: [
                "Audit", "Decoding", "Federation", "Imaging", "ModelPackage", "Phantoms", "Results", "Statements",
                "Statistics", "Tensors", "Torch", "Triage", "Wire", "WorkerService", "WorkerStore", "ZeroMQ",
                "gantry-decoder", "gantry-model",
                .product(name: "GRDB", package: "GRDB.swift"),
            ], swiftSettings: strict),
        .testTarget(
            name: "HubTests",
            dependencies: ["Audit", "Federation", "HubService", "HubStore", "Rounds", "Tensors", "ZeroMQ"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)

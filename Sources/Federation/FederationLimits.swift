// SPDX-License-Identifier: GPL-3.0-or-later

/// The sizes that both ends hold each other to, so that no peer can make the other allocate without bound.
public enum FederationLimits {
    /// First word of every message; changes when a peer that speaks the old one could misunderstand.
    public static let protocolName = "GANTRYFED1"
    /// A piece of a file or of a delta; also the most that `ToHub.fetch` may ask for.
    public static let pieceBytes = 1 << 20
    /// A site's JSON payload.
    public static let siteDocumentBytes = 64 << 10
    /// The hub's JSON payload: file lists of all models.
    public static let hubDocumentBytes = 1 << 20
    public static let fieldBytes = 512
    public static let frames = 8
    /// A delta or a file of a package: 16 GiB.
    public static let fileBytes = 16 << 30
    /// Packages that a site may report in one hello.
    public static let packages = 64
    /// Capabilities that a site may name.
    public static let capabilities = 32
    /// Models that a hub may offer.
    public static let models = 64
    /// Characters of a version or a codec name.
    public static let nameBytes = 64
    /// Counts of labels and seconds above it are nonsense.
    public static let count = 1_000_000_000
    /// ZeroMQ disconnects a peer that sends a larger frame.
    public static let frameBytes = pieceBytes + 4096
}

// SPDX-License-Identifier: GPL-3.0-or-later

/// What a side of the hand-over can do that the first release could not: the payload of its hello, one line for each,
/// `name value`. Lines with other names are passed over, and the first release neither sends nor reads any.
public struct Capabilities: Sendable, Equatable {
    /// Of a worker: an instance's bytes come in frames of at most so many bytes each. Of a gateway: it can send them so.
    /// Nil: they come in one frame, however many they are.
    public var pieceBytes: Int?

    /// What today's worker asks for and today's gateway can do. A CT slice fits into one piece.
    public static let current = Capabilities(pieceBytes: 1 << 20)
    /// A longer payload of a hello is not read.
    public static let longestBytes = 4096

    public init(pieceBytes: Int? = nil) { self.pieceBytes = pieceBytes }

    /// - Parameter text: the payload of a hello; whatever cannot be read is as if it were not there.
    public init(_ text: String) {
        self.init()
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, words[0] == "pieces", let bytes = Int(words[1]),
                (4096...Self.mostPieceBytes).contains(bytes)
            else { continue }
            pieceBytes = bytes
        }
    }

    private static let mostPieceBytes = 1 << 30

    public var text: String { pieceBytes.map { "pieces \($0)\n" } ?? "" }
}

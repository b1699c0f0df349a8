// SPDX-License-Identifier: GPL-3.0-or-later

/// Which commit an acknowledgement stands for: the database that made it, and its number there.
public struct Receipt: Sendable, Equatable {
    /// `ReceiptBook.state` of the side that acknowledges.
    public var state: String
    public var serial: Int64

    public init(state: String, serial: Int64) {
        self.state = state
        self.serial = serial
    }
}

/// What one side of the hand-over says in its hello about its own acknowledgements, so that what it lost is given back.
///
/// Either side may lose its database, or the last commits of it (the tail of a write-ahead log after a power cut), after
/// it has acknowledged. So every acknowledgement carries a receipt, numbered in the transaction that it acknowledges,
/// and the other side keeps the receipt with what it need not send again. At each opening of the database the numbers
/// jump ahead by a random distance, and what was jumped over is `voids`: a lost commit's number lies there, whatever
/// was written since. In its hello a side shows its book; what the other side holds as acknowledged and the book does
/// not hold was lost, and goes back to where it waits: in the gateway to the outbox, in the worker to the flags that
/// are not acknowledged. Nothing is compared that both must remember, so it does not matter who lost what first.
///
/// The option rejected: telling each other the highest number. After a loss the numbers of the lost commits are given
/// out again, and one hello that does not arrive hides the loss for ever.
public struct ReceiptBook: Sendable, Equatable {
    /// More is not sent; the oldest are dropped. Openings between which nothing was acknowledged share one.
    public static let mostVoids = 64

    /// Random, made with the database; empty while the database cannot be used.
    public var state: String
    /// The highest number given so far.
    public var serial: Int64
    /// Numbers that were never given or whose commit was lost; ascending.
    public var voids: [ClosedRange<Int64>]

    public init(state: String, serial: Int64 = 0, voids: [ClosedRange<Int64>] = []) {
        self.state = state
        self.serial = serial
        self.voids = voids
    }

    /// Nil when the texts are not those of a book.
    ///
    /// - Parameter voids: as `voidsText` gives it.
    public init?(state: String, serial: Int64, voids: String) {
        guard state.utf8.count <= 64, state.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }), serial >= 0 else { return nil }
        var ranges: [ClosedRange<Int64>] = []
        for part in voids.split(separator: " ") {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false)
            guard ends.count == 2, ranges.count < ReceiptBook.mostVoids, let first = Int64(ends[0]),
                let last = Int64(ends[1]), first <= last
            else { return nil }
            ranges.append(first...last)
        }
        self.init(state: state, serial: serial, voids: ranges)
    }

    /// For example `41-1041 2000-3000`.
    public var voidsText: String { voids.map { "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: " ") }

    /// Whether the commit that a receipt stands for is still there.
    public func holds(_ receipt: Receipt) -> Bool {
        receipt.state == state && receipt.serial <= serial && !voids.contains { $0.contains(receipt.serial) }
    }

    /// Whether a receipt that came after this book may be believed: it is from the same database and not void.
    public func mayHold(_ receipt: Receipt) -> Bool {
        receipt.state == state && !voids.contains { $0.contains(receipt.serial) }
    }

    /// Jumps ahead: to be committed after each opening of the database, before anything is acknowledged.
    ///
    /// - Parameter distance: random, so that numbers that were given and lost together with the jump before them are
    ///   not given again.
    public mutating func jump(_ distance: Int64 = .random(in: 1 << 20...1 << 40)) {
        // After four million jumps the room is used up; nobody restarts so often.
        guard serial >= 0, serial < Int64.max / 4, distance > 0, distance < Int64.max / 4 else { return }
        let last = serial &+ distance
        if let before = voids.last, before.upperBound == serial {
            voids.removeLast()
            voids.append(before.lowerBound...last)
        } else {
            voids.append(serial &+ 1...last)
        }
        if voids.count > ReceiptBook.mostVoids { voids.removeFirst(voids.count - ReceiptBook.mostVoids) }
        serial = last
    }
}

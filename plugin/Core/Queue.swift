// SPDX-License-Identifier: GPL-3.0-or-later

/// First in, first out, each step in constant time on average.
struct Queue<Element> {
    private var incoming: [Element] = []
    private var outgoing: [Element] = []

    var count: Int { incoming.count &+ outgoing.count }
    var isEmpty: Bool { incoming.isEmpty && outgoing.isEmpty }

    mutating func append(_ element: Element) { incoming.append(element) }

    /// Puts an element back in front.
    mutating func prepend(_ element: Element) { outgoing.append(element) }

    /// The oldest element, which stays in the queue.
    mutating func first() -> Element? {
        turn()
        return outgoing.last
    }

    mutating func popFirst() -> Element? {
        turn()
        return outgoing.popLast()
    }

    private mutating func turn() {
        guard outgoing.isEmpty, !incoming.isEmpty else { return }
        outgoing = incoming.reversed()
        incoming.removeAll(keepingCapacity: true)
    }
}

extension Queue: Sendable where Element: Sendable {}

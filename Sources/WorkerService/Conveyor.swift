// SPDX-License-Identifier: GPL-3.0-or-later
/// A queue between threads, bounded by bytes.
final class Conveyor<Element: Sendable>: @unchecked Sendable {
    // All state is touched under `condition` only.
    private let condition = MonotonicCondition()
    private var items: [(element: Element, bytes: Int)] = []
    private var queuedBytes = 0
    private var isClosed = false
    private let mostBytes: Int

    /// - Parameter mostBytes: `put` waits while more than that is queued. One element always fits.
    init(mostBytes: Int = .max) {
        self.mostBytes = mostBytes
    }

    /// Bytes that wait now.
    var bytes: Int { condition.withLock { queuedBytes } }
    var count: Int { condition.withLock { items.count } }
    /// No element comes any more.
    var isEnded: Bool { condition.withLock { isClosed } }

    /// Waits for room. False when the queue was closed.
    @discardableResult
    func put(_ element: Element, bytes: Int = 0) -> Bool {
        condition.withLock {
            while !isClosed, queuedBytes > 0, bytes > 0, queuedBytes + bytes > mostBytes { condition.wait() }
            if isClosed { return false }
            items.append((element, bytes))
            queuedBytes += bytes
            condition.broadcast()
            return true
        }
    }

    /// Waits for an element; nil when the queue is closed.
    func take() -> Element? {
        condition.withLock {
            while !isClosed, items.isEmpty { condition.wait() }
            if isClosed { return nil }
            return removeFirst(1).first
        }
    }

    /// At most `count` elements; waits up to `milliseconds` for the first.
    func take(upTo count: Int, milliseconds: Int64) -> [Element] {
        condition.withLock {
            let deadline = MonotonicCondition.deadline(inMilliseconds: milliseconds)
            while !isClosed, items.isEmpty, condition.wait(until: deadline) {}
            return removeFirst(min(count, items.count))
        }
    }

    /// Takes the elements that wait now and satisfy `isWanted`, in order, until it says stop (nil).
    func takeMatching(_ isWanted: (Element) -> Bool?) -> [Element] {
        condition.withLock {
            var taken: [Element] = []
            var rest: [(element: Element, bytes: Int)] = []
            var isStopped = false
            for item in items {
                let wanted = isStopped ? false : isWanted(item.element)
                if wanted == nil { isStopped = true }
                if wanted == true {
                    taken.append(item.element)
                    queuedBytes -= item.bytes
                } else {
                    rest.append(item)
                }
            }
            items = rest
            condition.broadcast()
            return taken
        }
    }

    /// Wakes every thread; what waits is dropped.
    func close() {
        condition.withLock {
            isClosed = true
            items = []
            queuedBytes = 0
            condition.broadcast()
        }
    }

    private func removeFirst(_ count: Int) -> [Element] {
        let taken = items.prefix(count)
        items.removeFirst(count)
        queuedBytes -= taken.reduce(0) { $0 + $1.bytes }
        condition.broadcast()
        return taken.map(\.element)
    }
}

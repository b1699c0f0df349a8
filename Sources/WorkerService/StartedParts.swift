// SPDX-License-Identifier: GPL-3.0-or-later

/// What was started so far of something that has several parts with threads.
struct StartedParts {
    private var stops: [() -> Void] = []

    /// - Parameter stop: ends the part and waits for its threads.
    mutating func add(_ stop: @escaping () -> Void) { stops.append(stop) }

    /// Ends all, the last one first.
    func stop() {
        for stop in stops.reversed() { stop() }
    }
}

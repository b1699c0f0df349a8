// SPDX-License-Identifier: GPL-3.0-or-later
import Synchronization
import ZeroMQ

/// Bounded letters to a thread that waits on `wakeup`.
final class Mailbox<Letter: Sendable>: Sendable {
    private let letters = Mutex<[Letter]>([])
    private let capacity: Int
    let wakeup: Wakeup

    init(capacity: Int, wakeup: Wakeup) {
        self.capacity = capacity
        self.wakeup = wakeup
    }

    /// - Returns: false when the box is full; the letter was not taken.
    @discardableResult
    func post(_ letter: Letter) -> Bool {
        let taken = letters.withLock { letters in
            guard letters.count < capacity else { return false }
            letters.append(letter)
            return true
        }
        wakeup.signal()
        return taken
    }

    /// Takes the letter even when the box is full: for answers, whose number the asker bounds.
    func deliver(_ letter: Letter) {
        letters.withLock { $0.append(letter) }
        wakeup.signal()
    }

    /// Everything in the box.
    func take() -> [Letter] {
        letters.withLock { letters in
            let taken = letters
            letters.removeAll()
            return taken
        }
    }
}

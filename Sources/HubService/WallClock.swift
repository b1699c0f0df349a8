// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// Unix milliseconds in UTC. A value, so that a test can bring its own time.
public typealias Clock = @Sendable () -> Int64

/// The machine's clock.
public let wallClock: Clock = { Int64((Date().timeIntervalSince1970 * 1000).rounded(.down)) }

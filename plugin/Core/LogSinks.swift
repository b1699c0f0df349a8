// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry
import Synchronization
import Wire

/// What `gantry_log_page.sink` stands for: a number that is looked up, never followed. A host that keeps a page and
/// adds to it later, or from another thread, does no harm.
enum LogSinks {
    /// More than any page needs; a host that adds without end is cut off and continues from its last position.
    private static let longestPage = 100_000
    private static let longestPosition = 255

    private struct State {
        var last: UInt = 0
        var pages: [UInt: Host.LogPage] = [:]
    }

    private static let state = Mutex(State())

    /// - Returns: never 0, so that it is not null as a pointer.
    static func open() -> UInt {
        state.withLock { state in
            state.last &+= 1
            state.pages[state.last] = Host.LogPage()
            return state.last
        }
    }

    /// What was put into the page since `open`. It takes nothing any more.
    static func close(_ sink: UInt) -> Host.LogPage {
        state.withLock { $0.pages.removeValue(forKey: sink) } ?? Host.LogPage()
    }

    static func add(_ sink: UnsafeMutableRawPointer?, _ instance: UnsafePointer<CChar>?) {
        guard let instance = unsafe Text.read(instance, longest: 128), let id = GatewayInstanceID(instance) else {
            return
        }
        let key = UInt(bitPattern: sink)
        state.withLock { state in
            guard let count = state.pages[key]?.instances.count, count < longestPage else { return }
            state.pages[key]?.instances.append(id)
        }
    }

    static func end(_ sink: UnsafeMutableRawPointer?, _ position: UnsafePointer<CChar>?, _ more: Int32) {
        guard let position = unsafe Text.read(position, longest: longestPosition) else { return }
        let key = UInt(bitPattern: sink)
        state.withLock { state in
            state.pages[key]?.position = position
            state.pages[key]?.hasMore = more != 0
        }
    }
}

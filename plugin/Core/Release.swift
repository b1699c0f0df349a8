// SPDX-License-Identifier: GPL-3.0-or-later

/// This build.
enum Release {
    static let text: StaticString = "0.1.0"
    static var version: String { text.description }
}

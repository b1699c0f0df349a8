// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry

/// `gantry_code` as what the functions return.
enum Code {
    static let ok = value(GANTRY_OK)
    static let badArgument = value(GANTRY_BAD_ARGUMENT)
    static let badHandle = value(GANTRY_BAD_HANDLE)
    static let badStructSize = value(GANTRY_BAD_STRUCT_SIZE)
    static let closed = value(GANTRY_CLOSED)
    static let notFound = value(GANTRY_NOT_FOUND)
    static let full = value(GANTRY_FULL)
    static let unavailable = value(GANTRY_UNAVAILABLE)
    static let noResources = value(GANTRY_NO_RESOURCES)
    static let timeout = value(GANTRY_TIMEOUT)
    static let wrongThread = value(GANTRY_WRONG_THREAD)

    private static func value(_ code: gantry_code) -> Int32 { Int32(truncatingIfNeeded: code.rawValue) }
}

// SPDX-License-Identifier: GPL-3.0-or-later
import CGantry

/// Structs of a caller that may have been compiled with an older or newer gantry.h.
enum Struct {
    /// Copies the fields that both sides know.
    ///
    /// - Parameter size: the caller's struct_size.
    /// - Returns: nil when the struct is smaller than in version 1 of the interface.
    static func read(_ options: UnsafePointer<gantry_options>, size: Int) -> gantry_options? {
        var copy = unsafe gantry_options()
        return unsafe fill(&copy, options, size) ? copy : nil
    }

    static func read(_ host: UnsafePointer<gantry_host>, size: Int) -> gantry_host? {
        var copy = unsafe gantry_host()
        return unsafe fill(&copy, host, size) ? copy : nil
    }

    static func read(_ instance: UnsafePointer<gantry_instance>, size: Int) -> gantry_instance? {
        var copy = unsafe gantry_instance()
        return unsafe fill(&copy, instance, size) ? copy : nil
    }

    /// Version 1 is the first, so that its size is the least; larger structs are newer and read as far as we know them.
    private static func fill<Fields: BitwiseCopyable>(
        _ copy: inout Fields, _ source: UnsafePointer<Fields>, _ size: Int
    ) -> Bool {
        guard size >= MemoryLayout<Fields>.size else { return false }
        unsafe copy = source.pointee
        return true
    }
}

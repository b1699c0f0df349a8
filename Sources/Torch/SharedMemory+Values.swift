// SPDX-License-Identifier: GPL-3.0-or-later
import Sandbox

extension SharedMemory {
    /// Copies values to a place in the input memory.
    func put(_ bytes: UnsafeRawBufferPointer, at offset: Int = 0) {
        UnsafeMutableRawBufferPointer(rebasing: input[offset..<offset + bytes.count]).copyMemory(from: bytes)
    }

    /// A copy of the first `count` floats of the output memory, where what lies there may change at any time.
    func floats(_ count: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { values, initialised in
            UnsafeMutableRawBufferPointer(values).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: output[..<(count * MemoryLayout<Float>.size)]))
            initialised = count
        }
    }
}

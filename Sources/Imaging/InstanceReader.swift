// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging
import Foundation

/// An open instance whose frames can be decoded one by one.
///
/// Lives inside `read`, on the thread that called it, because it looks into the caller's bytes without copying them.
public struct InstanceReader: ~Copyable {
    let handle: OpaquePointer
    public let instance: DicomInstance

    /// Opens a DICOM file in memory for the duration of `body`. Throws as `DicomInstance.init` does, and what `body`
    /// throws.
    public static func read<Outcome>(
        _ bytes: some ContiguousBytes, limits: DecodingLimits = .standard,
        _ body: (borrowing InstanceReader) throws(ImagingError) -> Outcome
    ) throws(ImagingError) -> Outcome {
        let outcome = bytes.withUnsafeBytes { buffer in
            Result { () throws(ImagingError) in
                try body(try InstanceReader(buffer, limits: limits))
            }
        }
        return try outcome.get()
    }

    private init(_ buffer: UnsafeRawBufferPointer, limits: DecodingLimits) throws(ImagingError) {
        var limits = limits.c
        var opened: OpaquePointer?
        try throwing { gi_open(buffer.baseAddress, buffer.count, &limits, &opened, $0) }
        guard let opened else { throw ImagingError(.internal, "the instance was not opened") }
        handle = opened
        instance = DicomInstance(opened)
    }

    deinit {
        gi_close(handle)
    }

    /// The whole number in an element; nil when there is none.
    public func integer(at address: ElementAddress) -> Int? { HeaderElements(handle).integer(at: address) }

    /// Decodes one frame, counted from 0, into `frame`; after an error `frame` is empty.
    public func decode(_ index: Int, into frame: Frame) throws(ImagingError) {
        guard let number = UInt32(exactly: index) else { throw ImagingError(.noSuchFrame, "frame \(index)") }
        try throwing { gi_decode(handle, number, frame.handle, $0) }
    }
}

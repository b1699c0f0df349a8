// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging

/// Why an instance or a frame cannot be used. Carries no value of a patient-related element.
public struct ImagingError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The reasons; their raw values are stable and meant for counters, acknowledgements and REST.
    public enum Reason: String, Sendable, CaseIterable {
        case notDicom = "not-dicom"
        case truncated
        case malformed
        /// A report, a plan, a waveform: nothing with pixels.
        case notAnImage = "not-an-image"
        case noPixelData = "no-pixel-data"
        case badGeometry = "bad-geometry"
        case tooLarge = "too-large"
        case unsupportedTransferSyntax = "unsupported-transfer-syntax"
        case unsupportedPhotometric = "unsupported-photometric"
        case badRescale = "bad-rescale"
        case decodeFailed = "decode-failed"
        case noSuchFrame = "no-such-frame"
        case invalidArgument = "invalid-argument"
        case writeFailed = "write-failed"
        case `internal`
        /// There was not enough memory for it.
        case decoderMemory = "decoder-memory"
        /// The process that decoded it ended over it.
        case decoderDied = "decoder-died"
        /// The process that decoded it gave no answer in time.
        case decoderHung = "decoder-hung"
    }

    public let reason: Reason
    /// What was found, by element.
    public let detail: String

    public init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }

    /// The reason's stable name.
    public var name: String { reason.rawValue }
    public var description: String { "\(name): \(detail)" }

    package init(_ error: gi_error) {
        var error = error
        let detail = withUnsafeBytes(of: &error.text) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        self.init(Self.reason(ofCode: Int(error.code)), detail)
    }

    private static func reason(ofCode code: Int) -> Reason {
        switch code {
        case GI_NOT_DICOM: .notDicom
        case GI_TRUNCATED: .truncated
        case GI_MALFORMED: .malformed
        case GI_NOT_AN_IMAGE: .notAnImage
        case GI_NO_PIXEL_DATA: .noPixelData
        case GI_BAD_GEOMETRY: .badGeometry
        case GI_TOO_LARGE: .tooLarge
        case GI_UNSUPPORTED_TRANSFER_SYNTAX: .unsupportedTransferSyntax
        case GI_UNSUPPORTED_PHOTOMETRIC: .unsupportedPhotometric
        case GI_BAD_RESCALE: .badRescale
        case GI_DECODE_FAILED: .decodeFailed
        case GI_NO_SUCH_FRAME: .noSuchFrame
        case GI_INVALID_ARGUMENT: .invalidArgument
        case GI_WRITE_FAILED: .writeFailed
        case GI_NO_MEMORY: .decoderMemory
        default: .internal
        }
    }
}

/// Runs a C call and throws what it reports.
package func throwing(_ call: (UnsafeMutablePointer<gi_error>) -> Int32) throws(ImagingError) {
    var error = gi_error()
    if call(&error) != GI_OK { throw ImagingError(error) }
}

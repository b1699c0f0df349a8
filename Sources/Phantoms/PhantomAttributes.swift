// SPDX-License-Identifier: GPL-3.0-or-later
import CImaging
import Foundation
import Imaging

/// The attributes of one instance to write, by DCMTK path.
struct PhantomAttributes {
    private var list: [(path: String, value: String)] = []

    subscript(_ path: String) -> String {
        get { list.last { $0.path == path }?.value ?? "" }
        set { list.append((path, newValue)) }
    }

    /// A single-item code sequence (PS3.3 section 8.8).
    mutating func code(_ sequence: String, value: String, scheme: String, meaning: String) {
        self["\(sequence)[0].(0008,0100)"] = value
        self["\(sequence)[0].(0008,0102)"] = scheme
        self["\(sequence)[0].(0008,0104)"] = meaning
    }

    /// The instance as a DICOM file.
    func file(
        _ values: [UInt16], rows: Int, columns: Int, bitsStored: Int, isSigned: Bool, photometric: String,
        transferSyntax: PhantomTransferSyntax
    ) throws(ImagingError) -> Data {
        // The strings must stay where they are while the C function reads them.
        let texts = list.map { (strdup($0.path), strdup($0.value)) }
        defer {
            for text in texts {
                free(text.0)
                free(text.1)
            }
        }
        let attributes = texts.map { gi_attribute(path: $0.0, value: $0.1) }
        var bytes: UnsafeMutablePointer<UInt8>?
        var count = 0
        try throwing { error in
            values.withUnsafeBufferPointer { buffer in
                photometric.withCString { photometric in
                    var pixels = gi_pixels(
                        rows: UInt32(rows), columns: UInt32(columns), bits_stored: UInt32(bitsStored),
                        is_signed: isSigned ? 1 : 0, photometric: photometric, values: buffer.baseAddress)
                    return gi_write(
                        attributes, attributes.count, &pixels, transferSyntax.uid, &bytes, &count, error)
                }
            }
        }
        guard let bytes else { throw ImagingError(.writeFailed, "no file was made") }
        return Data(bytesNoCopy: bytes, count: count, deallocator: .custom { pointer, _ in gi_free(pointer) })
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later

/// The lossless transfer syntaxes in which phantoms can be written.
public enum PhantomTransferSyntax: String, CaseIterable, Sendable {
    case explicitLittleEndian = "explicit-le"
    case implicitLittleEndian = "implicit-le"
    case explicitBigEndian = "explicit-be"
    case deflated
    case rle
    case jpegLossless = "jpeg-lossless"
    case jpegLS = "jpeg-ls"
    case jpeg2000

    public var uid: String {
        switch self {
        case .explicitLittleEndian: "1.2.840.10008.1.2.1"
        case .implicitLittleEndian: "1.2.840.10008.1.2"
        case .explicitBigEndian: "1.2.840.10008.1.2.2"
        case .deflated: "1.2.840.10008.1.2.1.99"
        case .rle: "1.2.840.10008.1.2.5"
        case .jpegLossless: "1.2.840.10008.1.2.4.70"
        case .jpegLS: "1.2.840.10008.1.2.4.80"
        case .jpeg2000: "1.2.840.10008.1.2.4.90"
        }
    }
}

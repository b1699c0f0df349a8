// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation

/// A finished object, ready to be stored in the archive.
public struct ResultObject: Sendable, Equatable {
    public var kind: ResultKind
    public var reference: InstanceReference
    /// A DICOM file in Explicit VR Little Endian.
    public var file: Data
}

// SPDX-License-Identifier: GPL-3.0-or-later

/// The objects that say in the archive what a model found.
public enum ResultKind: String, Sendable, CaseIterable {
    /// A structured report by TID 1500 (PS3.16).
    case report
    /// A secondary capture of the slice that says most.
    case keyImage = "key-image"
    /// A Key Object Selection by TID 2010 (PS3.16).
    case keyObjects = "key-objects"
    /// Where a segmentation model sees its findings.
    case segmentation
}

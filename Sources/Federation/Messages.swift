// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// What a site says to the hub. One message is one ZeroMQ multipart message: `GANTRYFED1 <verb>`, the fields, one
/// payload frame (JSON or raw bytes, may be empty). Every request gets exactly one `ToSite` answer; a request may be
/// repeated at any time and has no further effect then.
public enum ToHub: Sendable, Equatable {
    /// Every few seconds.
    case hello(SiteState)
    /// Asks for a piece of a file that a `HubState` named.
    case fetch(hash: Hash, offset: Int, length: Int)
    /// Announces a delta; the answer says from which byte on to send.
    case offer(DeltaManifest)
    /// A piece of the offered delta.
    case chunk(round: Int, hash: Hash, offset: Int, bytes: Data)
    /// What became of a new version at the site.
    case report(VersionReport)
}

/// What the hub says to a site.
public enum ToSite: Sendable, Equatable {
    case welcome(HubState)
    case piece(hash: Hash, offset: Int, bytes: Data)
    /// The hub holds `received` bytes of the delta durably; go on from there.
    case resume(round: Int, received: Int)
    /// The delta is committed and counts in the round (also the answer to any repeat of it).
    case accepted(round: Int)
    case refused(round: Int, reason: DeltaRefusal)
    case noted(version: Hash)
    /// The message could not be read or the thing asked for does not exist; `name` is stable.
    case error(name: String, text: String)
}

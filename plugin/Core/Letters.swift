// SPDX-License-Identifier: GPL-3.0-or-later
import Wire

/// What other threads ask of the courier.
enum CourierLetter: Sendable {
    /// The archivist has read back the instance of an outbox row.
    case read(sequence: Int64, Host.ReadResult, callingAETitle: String?)
    /// The archivist has read what a worker asked for.
    case fetched(link: Int, request: Int64, GatewayInstanceID, Host.ReadResult)
    case studyComplete(String)
    case reviewsAdded
    /// The host's log brought new rows.
    case outboxGrew
}

/// What other threads ask of the archivist.
enum ArchivistLetter: Sendable {
    /// The calling AE title is asked for what the host's log told, when a routing rule wants to know it.
    case read(sequence: Int64, GatewayInstanceID, asksCallingAETitle: Bool)
    case fetch(link: Int, request: Int64, GatewayInstanceID)
}

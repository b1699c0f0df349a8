// SPDX-License-Identifier: GPL-3.0-or-later
import Wire

/// What other threads ask of the courier.
enum CourierLetter: Sendable {
    /// The archivist has read back the instance of an outbox row.
    case read(sequence: Int64, Host.ReadResult)
    /// The archivist has read what a worker asked for.
    case fetched(link: Int, request: Int64, GatewayInstanceID, Host.ReadResult)
    case studyComplete(String)
    case reviewsAdded
    /// The host's log brought new rows.
    case outboxGrew
}

/// What other threads ask of the archivist.
enum ArchivistLetter: Sendable {
    case read(sequence: Int64, GatewayInstanceID)
    case fetch(link: Int, request: Int64, GatewayInstanceID)
}

// SPDX-License-Identifier: GPL-3.0-or-later

/// Whether a round opens now.
public enum Opening: Sendable, Equatable {
    case open(cohort: Set<String>)
    case wait(Waiting)
}

// SPDX-License-Identifier: GPL-3.0-or-later

/// Why a review was not taken.
enum ReviewError: Error, Equatable {
    /// The sentence says what is wrong with the request.
    case badRequest(String)
    case unknownStudy
}

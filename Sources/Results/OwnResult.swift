// SPDX-License-Identifier: GPL-3.0-or-later

/// How Gantry knows what it has made itself, wherever it comes from: such an object is never scored, and it is no part of
/// what makes a study complete.
public enum OwnResult {
    /// Manufacturer (0008,0070) of every object that Gantry makes.
    public static let manufacturer = "Gantry"

    private static let sopClassUIDs = Set(ResultKind.allCases.map(\.sopClassUID))

    /// Only the kinds of objects that Gantry makes: an image of another kind is looked at, whoever is said to have made it.
    public static func matches(manufacturer: String?, sopClassUID: String?) -> Bool {
        guard let sopClassUID, manufacturer == self.manufacturer else { return false }
        return sopClassUIDs.contains(sopClassUID)
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later

/// Why something that a hub offers is not taken.
enum FetchFailure: Error, Equatable, CustomStringConvertible {
    case wrongContent(String)
    case otherPackage(name: String)
    case noManifest(name: String)
    case manifestTooLarge(name: String, bytes: Int, limit: Int)
    case tooLarge(name: String, megabytes: Int, limit: Int)
    case parametersTooLarge(name: String, bytes: Int, own: Int)
    case budgetUsedUp(name: String, megabytes: Int, used: Int, limit: Int)
    case noRoom(name: String, megabytes: Int, disk: String)
    case tooManyOffers(Int)
    case sameAnswer(finding: String)

    var description: String {
        switch self {
        case .wrongContent(let name): "\(name) from the hub has not the content its hash promises; it is fetched again"
        case .otherPackage(let name): "the files of model \(name) from the hub are not the package it names"
        case .noManifest(let name): "model \(name) from the hub has no configs/gantry.json or no models/model.ts"
        case .manifestTooLarge(let name, let bytes, let limit):
            "a document of model \(name) from the hub has \(bytes) bytes; at most \(limit) are taken"
        case .tooLarge(let name, let megabytes, let limit):
            "model \(name) from the hub has \(megabytes) MB; package_megabytes is \(limit)"
        case .parametersTooLarge(let name, let bytes, let own):
            "a version of \(name) from the hub has parameters of \(bytes) bytes; those of the package have \(own)"
        case .budgetUsedUp(let name, let megabytes, let used, let limit):
            """
            model \(name) from the hub needs \(megabytes) MB, and what came from the hub takes \(used) MB already; \
            hub_megabytes is \(limit)
            """
        case .noRoom(let name, let megabytes, let disk): "no room for \(megabytes) MB of model \(name): \(disk)"
        case .tooManyOffers(let most):
            "\(most) packages of the hub wait for approval; it is not asked about more (gantry model deny, approve)"
        case .sameAnswer(let finding):
            "its answer about \(finding) is the same whatever it is shown"
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later

/// What an operator can do wrong with the hub's state, and how to put it right.
public enum HubStoreError: Error, Equatable, CustomStringConvertible {
    case notInitialised(String)
    case initialised(String)
    case newerSchema(String)
    case inUse(String)
    case badSiteName(String)
    case badKey(String)
    case siteExists(String)
    case keyInUse(site: String)
    case noSite(String)
    case noParameters(path: String)
    case badParameters(path: String, reason: String)
    case wrongFile(path: String, expected: String, found: String)
    case modelExists(name: String, package: String)
    case missingFile(String)
    case noModel(String)
    case noVersion(model: String, version: String)
    case refusedVersion(number: Int, refused: Int, decided: Int)

    public var description: String {
        switch self {
        case .notInitialised(let path): "\(path) is not the state of a hub; run: gantry-hub init --state \(path)"
        case .initialised(let path): "\(path) already is the state of a hub; nothing was changed"
        case .newerSchema(let path):
            "\(path) was written by a newer release of gantry-hub than this one; install that release or a later one"
        case .inUse(let path): "another gantry-hub runs on \(path); stop it first"
        case .badSiteName(let name):
            "“\(name)” cannot be a site's name: use 1 to 64 letters, digits, dots, dashes or underscores, "
                + "a letter or digit first"
        case .badKey(let key): "“\(key.prefix(80))” is not a public key (40 characters of Z85)"
        case .siteExists(let name):
            "site \(name) is enrolled already; to give it a new key run first: gantry-hub site revoke --name \(name)"
        case .keyInUse(let site): "this public key belongs to site \(site); every site needs a key of its own"
        case .noSite(let name): "there is no site \(name); gantry-hub site list shows those there are"
        case .noParameters(let path):
            "the package has no \(path), so rounds have nothing to start from; run: gantry model prepare DIR"
        case .badParameters(let path, let reason): "\(path) of the package cannot be used: \(reason)"
        case .wrongFile(let path, let expected, let found):
            "\(path) changed while it was read (hash \(found), expected \(expected)); try again"
        case .modelExists(let name, let package):
            "there is a model \(name) with other content (package \(package)); "
                + "give the new one another name in configs/gantry.json"
        case .noModel(let name): "there is no model \(name); gantry-hub model list shows those there are"
        case .noVersion(let model, let version):
            "model \(model) has no other version \(version); gantry-hub model versions \(model) shows those there are"
        case .refusedVersion(let number, let refused, let decided):
            "version \(number) was refused by \(refused) of \(decided) sites, and no round starts from such a version; "
                + "choose another one"
        case .missingFile(let path): "the file \(path) is gone from the hub's state; restore it from a backup"
        }
    }
}

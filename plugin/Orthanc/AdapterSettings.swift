// SPDX-License-Identifier: GPL-3.0-or-later
import SQLite

#if canImport(Glibc)
    import Glibc
#endif

/// What the adapter reads itself from Orthanc's configuration. The rest of the section `Gantry` is GatewayCore's.
struct AdapterSettings: Sendable {
    static let names = ["Enable", "StudyMetadata", "MetadataKey", "Labels", "TcpNoDelay"] + WebAccess.names

    /// The section `Gantry` as JSON; empty when there is none.
    private(set) var section = ""
    private(set) var isEnabled = true
    /// Whether the flag is written to the study's metadata, under which number.
    private(set) var writesMetadata = true
    private(set) var metadataKey: Int64 = 4_200
    private(set) var writesLabels = true
    private(set) var switchesNagleOff = true
    /// Whether instances may ever be refused; GatewayCore reads after how long.
    private(set) var refusesWithoutWorker = false
    private(set) var httpThreads: Int64 = 50
    private(set) var stateDirectory = ""
    private(set) var name = "Orthanc"
    let access: WebAccess

    /// - Throws: `SQLiteError` when memory is exhausted.
    init(_ orthanc: Orthanc) throws(SQLiteError) {
        let json = try JSON()
        let configuration = orthanc.configuration
        if let fault = JSONBounds.document.fault(in: configuration) {
            orthanc.error("Gantry: the text of Orthanc's configuration \(fault). Every default is used.")
        }
        section = json.value(configuration, at: "$.Gantry") ?? ""
        let known = AdapterSettings.ownNames(in: section, json: json)
        // Complaints about names come from GatewayCore, which is told all of them.
        var reader = SettingsReader(known, knownNames: AdapterSettings.names, json: json)
        isEnabled = reader.flag("Enable", default: true)
        writesMetadata = reader.flag("StudyMetadata", default: true)
        // Orthanc keeps the numbers below 1024 for itself.
        metadataKey = reader.integer("MetadataKey", default: 4_200, in: 1_024...65_535)
        writesLabels = reader.flag("Labels", default: true)
        switchesNagleOff = reader.flag("TcpNoDelay", default: true)
        access = WebAccess(&reader, configuration: configuration, json: json)
        for complaint in reader.complaints { orthanc.warning("Gantry: \(complaint)") }

        refusesWithoutWorker = (json.value(section, at: "$.RefuseWithoutWorkerSeconds").flatMap { Int64($0) } ?? 0) > 0

        httpThreads = json.value(configuration, at: "$.HttpThreadsCount").flatMap { Int64($0) } ?? 50

        let storage = json.value(configuration, at: "$.StorageDirectory") ?? "OrthancStorage"
        stateDirectory = AdapterSettings.absolute(storage, beside: orthanc.configurationPath) + "/gantry"
        // Orthanc's name has no limit, gantry.h's has; what is cut off is the host's.
        let full = "\(json.value(configuration, at: "$.Name") ?? "Orthanc")@\(AdapterSettings.hostName)"
        name = String(decoding: full.utf8.prefix(120), as: UTF8.self)
    }

    private static func ownNames(in section: String, json: JSON) -> String {
        let list = names.map { "'\($0)'" }.joined(separator: ", ")
        return json.select(
            """
            SELECT json_group_object(key, checked_document(CASE type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
                ELSE json_quote(value) END))
            FROM json_each(checked_document(?1)) WHERE key IN (\(list))
            """, section
        ).first ?? ""
    }

    /// Orthanc reads relative paths from the folder of its configuration.
    private static func absolute(_ path: String, beside configuration: String) -> String {
        guard !path.hasPrefix("/"), !configuration.isEmpty else { return path }
        var information = stat()
        let isFolder =
            unsafe stat(configuration, &information) == 0 && (information.st_mode & S_IFMT) == S_IFDIR
        if isFolder { return "\(configuration)/\(path)" }
        guard let slash = configuration.lastIndex(of: "/") else { return path }
        return "\(configuration[..<slash])/\(path)"
    }

    private static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&buffer, buffer.count &- 1) == 0 else { return "localhost" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import Results
import Sandbox

extension WorkerSettings {
    private enum Key: String, CodingKey, CaseIterable {
        case name, endpoint, key, gateways, state, packages, threads, nice, decoder, sandbox, hub, transcript, results
        case decodeThreads = "decode_threads"
        case decodeSeconds = "decode_seconds"
        case decodeMegabytes = "decode_megabytes"
        case instanceMegabytes = "instance_megabytes"
        case modelProcess = "model_process"
        case modelSeconds = "model_seconds"
        case modelMegabytes = "model_megabytes"
        case batchSlices = "batch_slices"
        case quietSeconds = "quiet_seconds"
        case quietSecondsByModality = "quiet_seconds_by_modality"
        case countedQuietSeconds = "counted_quiet_seconds"
        case expectedCounts = "expected_counts"
        case memoryMegabytes = "memory_megabytes"
        case exampleMegabytes = "example_megabytes"
        case heldOutShare = "held_out_share"
        case keyObjects = "key_objects"
        case keyObjectTitle = "key_object_title"
        case resendSeconds = "resend_seconds"
        case statusSeconds = "status_seconds"
        case labelCodes = "label_codes"
        case hubKey = "hub_key"
        case siteKey = "site_key"
        case hubSeconds = "hub_seconds"
        case guardMarginMost = "guard_margin_most"
        case guardToleranceMost = "guard_tolerance_most"
        case heldOutLabelsLeast = "held_out_labels_least"
        case trainingStudiesLeast = "training_studies_least"
        case epochsMost = "epochs_most"
        case learningRateMost = "learning_rate_most"
        case batchStudiesMost = "batch_studies_most"
        case packageMegabytes = "package_megabytes"
        case hubMegabytes = "hub_megabytes"
        case diskReserveMegabytes = "disk_reserve_megabytes"
    }

    /// Reads a JSON object. Relative paths are relative to the file's folder.
    ///
    /// - Parameter state: from the command line; wins over the file's.
    /// - Throws: `SettingsError`; an unknown key is one, because a setting that is silently without effect is worse.
    public init(file: URL, state: URL?) throws(SettingsError) {
        let data: Data
        do {
            data = try Data(contentsOf: file)
        } catch {
            throw .unreadable(file: file.path, reason: error.localizedDescription)
        }
        try self.init(json: data, name: file.path, folder: file.deletingLastPathComponent(), state: state)
    }

    init(json: Data, name: String, folder: URL, state: URL?) throws(SettingsError) {
        let object: [String: Value]
        do {
            object = try JSONDecoder().decode([String: Value].self, from: json)
        } catch DecodingError.typeMismatch {
            throw .unreadable(file: name, reason: "it is not a JSON object")
        } catch {
            throw .unreadable(file: name, reason: "it is not JSON")
        }
        let known = Key.allCases.map(\.rawValue).sorted()
        if let unknown = object.keys.sorted().first(where: { !known.contains($0) }) {
            throw .unknownKey(unknown, known: known)
        }
        let values = Values(object: object)
        func path(_ key: Key) throws(SettingsError) -> URL? {
            guard let path = try values.text(key.rawValue) else { return nil }
            return URL(filePath: path, relativeTo: folder).absoluteURL
        }
        let ownState = try path(.state)
        guard let state = state ?? ownState else { throw .noState }
        self.init(state: state)
        self.name = try values.text(Key.name.rawValue) ?? self.name
        endpoint = try values.text(Key.endpoint.rawValue) ?? endpoint
        key = try path(.key)
        gateways = try values.named(Key.gateways.rawValue)
        packages = try values.optionalTexts(Key.packages.rawValue)?
            .map { URL(filePath: $0, relativeTo: folder).absoluteURL }
        threads = try values.integer(Key.threads.rawValue) ?? threads
        nice = try values.integer(Key.nice.rawValue) ?? nice
        decodeThreads = try values.integer(Key.decodeThreads.rawValue) ?? decodeThreads
        decoder = try path(.decoder)
        if let text = try values.text(Key.sandbox.rawValue) {
            guard let sandbox = SandboxPolicy(rawValue: text) else {
                throw .badValue(key: "sandbox", expected: "required or reduced")
            }
            self.sandbox = sandbox
        }
        decodeSeconds = try values.number(Key.decodeSeconds.rawValue) ?? decodeSeconds
        decodeMegabytes = try values.integer(Key.decodeMegabytes.rawValue) ?? decodeMegabytes
        instanceMegabytes = try values.integer(Key.instanceMegabytes.rawValue) ?? instanceMegabytes
        modelProcess = try path(.modelProcess)
        modelSeconds = try values.number(Key.modelSeconds.rawValue) ?? modelSeconds
        modelMegabytes = try values.integer(Key.modelMegabytes.rawValue) ?? modelMegabytes
        batchSlices = try values.integer(Key.batchSlices.rawValue) ?? batchSlices
        quietSeconds = try values.number(Key.quietSeconds.rawValue) ?? quietSeconds
        quietSecondsByModality = try values.numbers(Key.quietSecondsByModality.rawValue)
        countedQuietSeconds = try values.number(Key.countedQuietSeconds.rawValue) ?? countedQuietSeconds
        for rule in try values.objects(Key.expectedCounts.rawValue) {
            expectedCounts.append(try CountRule(rule, key: Key.expectedCounts.rawValue))
        }
        memoryMegabytes = try values.integer(Key.memoryMegabytes.rawValue) ?? memoryMegabytes
        exampleMegabytes = try values.integer(Key.exampleMegabytes.rawValue) ?? exampleMegabytes
        heldOutShare = try values.number(Key.heldOutShare.rawValue) ?? heldOutShare
        resendSeconds = try values.number(Key.resendSeconds.rawValue) ?? resendSeconds
        if let text = try values.text(Key.results.rawValue) {
            guard let results = Results(rawValue: text) else {
                throw .badValue(key: "results", expected: "flagged, every or off")
            }
            self.results = results
        }
        keyObjects = try values.flag(Key.keyObjects.rawValue) ?? keyObjects
        if let text = try values.text(Key.keyObjectTitle.rawValue) {
            guard let title = KeyObjectTitle(rawValue: text) else {
                let known = KeyObjectTitle.allCases.map(\.rawValue).joined(separator: ", ")
                throw .badValue(key: "key_object_title", expected: "a code value of CID 7010, one of \(known)")
            }
            keyObjectTitle = title
        }
        statusSeconds = try values.number(Key.statusSeconds.rawValue) ?? statusSeconds
        labelCodes = try path(.labelCodes)
        hub = try values.text(Key.hub.rawValue)
        hubKey = try values.text(Key.hubKey.rawValue)
        siteKey = try path(.siteKey)
        hubSeconds = try values.number(Key.hubSeconds.rawValue) ?? hubSeconds
        transcript = try path(.transcript)
        try readLimits(values)
    }

    private mutating func readLimits(_ values: Values) throws(SettingsError) {
        limits.guardMarginMost = try values.number(Key.guardMarginMost.rawValue) ?? limits.guardMarginMost
        limits.guardToleranceMost = try values.number(Key.guardToleranceMost.rawValue) ?? limits.guardToleranceMost
        limits.heldOutLabelsLeast = try values.integer(Key.heldOutLabelsLeast.rawValue) ?? limits.heldOutLabelsLeast
        limits.trainingStudiesLeast =
            try values.integer(Key.trainingStudiesLeast.rawValue) ?? limits.trainingStudiesLeast
        limits.epochsMost = try values.integer(Key.epochsMost.rawValue) ?? limits.epochsMost
        limits.learningRateMost = try values.number(Key.learningRateMost.rawValue) ?? limits.learningRateMost
        limits.batchStudiesMost = try values.integer(Key.batchStudiesMost.rawValue) ?? limits.batchStudiesMost
        packageMegabytes = try values.integer(Key.packageMegabytes.rawValue) ?? packageMegabytes
        hubMegabytes = try values.integer(Key.hubMegabytes.rawValue) ?? hubMegabytes
        diskReserveMegabytes = try values.integer(Key.diskReserveMegabytes.rawValue)
    }

    private enum Value: Decodable {
        case text(String)
        case flag(Bool)
        case number(Double)
        case texts([String])
        case numbers([String: Double])
        case named([String: String])
        case objects([[String: String]])
        case other

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let text = try? container.decode(String.self) {
                self = .text(text)
            } else if let flag = try? container.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else if let texts = try? container.decode([String].self) {
                self = .texts(texts)
            } else if let numbers = try? container.decode([String: Double].self) {
                self = .numbers(numbers)
            } else if let named = try? container.decode([String: String].self) {
                self = .named(named)
            } else if let objects = try? container.decode([[String: String]].self) {
                self = .objects(objects)
            } else {
                self = .other
            }
        }
    }

    /// Typed reading of a JSON object.
    private struct Values {
        let object: [String: Value]

        func text(_ key: String) throws(SettingsError) -> String? {
            guard let value = object[key] else { return nil }
            guard case .text(let text) = value, !text.isEmpty else { throw .badValue(key: key, expected: "a text") }
            return text
        }

        func flag(_ key: String) throws(SettingsError) -> Bool? {
            guard let value = object[key] else { return nil }
            guard case .flag(let flag) = value else { throw .badValue(key: key, expected: "true or false") }
            return flag
        }

        func optionalTexts(_ key: String) throws(SettingsError) -> [String]? {
            guard let value = object[key] else { return nil }
            guard case .texts(let texts) = value else { throw .badValue(key: key, expected: "a list of texts") }
            return texts
        }

        func named(_ key: String) throws(SettingsError) -> [String: String] {
            guard let value = object[key] else { return [:] }
            // An empty object has no type.
            if case .numbers(let numbers) = value, numbers.isEmpty { return [:] }
            guard case .named(let texts) = value else { throw .badValue(key: key, expected: "an object of texts") }
            return texts
        }

        func objects(_ key: String) throws(SettingsError) -> [[String: String]] {
            guard let value = object[key] else { return [] }
            // An empty list has no type.
            if case .texts(let texts) = value, texts.isEmpty { return [] }
            guard case .objects(let objects) = value else {
                throw .badValue(key: key, expected: "a list of objects of texts")
            }
            return objects
        }

        func number(_ key: String) throws(SettingsError) -> Double? {
            guard let value = object[key] else { return nil }
            guard case .number(let number) = value else { throw .badValue(key: key, expected: "a number") }
            return number
        }

        func integer(_ key: String) throws(SettingsError) -> Int? {
            guard let number = try number(key) else { return nil }
            guard let integer = Int(exactly: number) else { throw .badValue(key: key, expected: "a whole number") }
            return integer
        }

        func numbers(_ key: String) throws(SettingsError) -> [String: Double] {
            guard let value = object[key] else { return [:] }
            guard case .numbers(let numbers) = value else {
                throw .badValue(key: key, expected: "an object of numbers")
            }
            return numbers
        }
    }
}

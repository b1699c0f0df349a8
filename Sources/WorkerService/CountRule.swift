// SPDX-License-Identifier: GPL-3.0-or-later
import Decoding
import Foundation
import Imaging
import Triage

/// Where some of a site's modalities write how many instances there are, beside the elements that the standard has for it.
public struct CountRule: Sendable, Equatable {
    /// What is counted.
    public enum Level: String, Sendable, CaseIterable { case study, series, acquisition }

    public var element: ElementAddress
    public var counts: Level
    /// Patterns as of the shell (`SIEMENS*`), without regard to case; nil: any.
    public var modality: String?
    public var manufacturer: String?
    public var station: String?

    public init(
        element: ElementAddress, counts: Level, modality: String? = nil, manufacturer: String? = nil,
        station: String? = nil
    ) {
        self.element = element
        self.counts = counts
        self.modality = modality
        self.manufacturer = manufacturer
        self.station = station
    }

    /// - Throws: `SettingsError` for the setting `key` that says what is wrong with the object.
    init(_ object: [String: String], key: String) throws(SettingsError) {
        let known = ["tag", "creator", "counts", "modality", "manufacturer", "station"]
        if let unknown = object.keys.sorted().first(where: { !known.contains($0) }) {
            throw .badValue(
                key: key, expected: "objects of \(known.joined(separator: ", ")); “\(unknown)” is none of them")
        }
        guard let tag = object["tag"], let element = ElementAddress(tag: tag, creator: object["creator"]) else {
            throw .badValue(
                key: key,
                expected: #"a "tag" such as "0020,1002", with "creator" for a private one such as "0019,xx9B""#)
        }
        guard let counts = object["counts"].flatMap(Level.init) else {
            throw .badValue(key: key, expected: #""counts" to be "study", "series" or "acquisition""#)
        }
        self.init(
            element: element, counts: counts, modality: object["modality"], manufacturer: object["manufacturer"],
            station: object["station"])
    }

    func matches(_ header: InstanceHeader) -> Bool {
        Self.matches(modality, header.modality) && Self.matches(manufacturer, header.manufacturer)
            && Self.matches(station, header.stationName)
    }

    private static func matches(_ pattern: String?, _ text: String?) -> Bool {
        guard let pattern else { return true }
        return fnmatch(pattern.lowercased(), (text ?? "").lowercased(), 0) == 0
    }
}

extension ExpectedCounts {
    /// What the header says; a rule that matches and finds a count goes before the standard's element.
    ///
    /// - Parameter rules: those whose elements the decoder was asked for, in that order.
    init(_ header: InstanceHeader, rules: [CountRule]) {
        self.init(
            study: header.numberOfStudyRelatedInstances, series: header.numberOfSeriesRelatedInstances,
            acquisition: header.imagesInAcquisition, acquisitionNumber: header.acquisitionNumber)
        for (rule, value) in zip(rules, header.elements) {
            guard let value, value > 0, rule.matches(header) else { continue }
            switch rule.counts {
            case .study: study = value
            case .series: series = value
            case .acquisition: acquisition = value
            }
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later
import Foundation
import ModelPackage

/// Reads files of FHIR R4 resources: a Bundle or single resource (`.json`), or one resource a line (`.ndjson`).
///
/// Add all files of an import, then `finish`: a resource in one file may refer to one in another.
public struct FHIRReading {
    /// Something that cannot be read or used.
    public struct Refusal: Error, Sendable, Equatable, CustomStringConvertible {
        public var file: String
        /// The resource, or the line; empty for the file as a whole.
        public var place: String
        public var reason: String

        public init(file: String, place: String, reason: String) {
            self.file = file
            self.place = place
            self.reason = reason
        }

        public var description: String { place.isEmpty ? "\(file): \(reason)" : "\(file), \(place): \(reason)" }
    }

    /// What the files say, in their order.
    public struct Outcome: Sendable, Equatable {
        public var statements: [FHIRStatement] = []
        public var refusals: [Refusal] = []
        /// DiagnosticReports and Observations that were read.
        public var resources = 0
        /// Of these, those that say nothing about a finding that the map knows.
        public var unrelated = 0
        /// Of these, those that are not final: registered, partial or preliminary.
        public var unfinished = 0
    }

    private struct Read {
        var resource: FHIRResource
        var file: String
        var place: String
        var fullURL: String?
    }

    private let map: CodeMap
    private var all: [Read] = []
    private var refusals: [Refusal] = []

    public init(map: CodeMap) {
        self.map = map
    }

    /// - Parameter file: the name that refusals give; a name ending in `.ndjson` is read line by line.
    public mutating func add(_ content: Data, file: String) {
        guard file.lowercased().hasSuffix(".ndjson") else {
            add(content, file: file, place: "")
            return
        }
        for (index, line) in content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
        where !line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\r") }) {
            add(Data(line), file: file, place: "line \(index + 1)")
        }
    }

    private mutating func add(_ content: Data, file: String, place: String) {
        do {
            let resource = try JSONDecoder().decode(FHIRResource.self, from: content)
            take(resource, file: file, place: place, fullURL: nil)
        } catch let error as DecodingError {
            refusals.append(Refusal(file: file, place: place, reason: Self.problem(error)))
        } catch {
            refusals.append(Refusal(file: file, place: place, reason: "it is not JSON"))
        }
    }

    private mutating func take(_ resource: FHIRResource, file: String, place: String, fullURL: String?) {
        guard resource.resourceType != "Bundle" else {
            for entry in resource.entry ?? [] {
                if let inner = entry.resource { take(inner, file: file, place: place, fullURL: entry.fullUrl) }
            }
            return
        }
        let name = [place, resource.id.map { "\(resource.resourceType)/\($0)" } ?? resource.resourceType]
        all.append(
            Read(
                resource: resource, file: file, place: name.filter { !$0.isEmpty }.joined(separator: ", "),
                fullURL: fullURL))
    }

    public func finish() -> Outcome {
        var outcome = Outcome(refusals: refusals)
        let library = FHIRLibrary(all.map { (resource: $0.resource, fullURL: $0.fullURL) })
        for read in all where ["DiagnosticReport", "Observation"].contains(read.resource.resourceType) {
            outcome.resources += 1
            do throws(Refusal) {
                try take(read, library, &outcome)
            } catch {
                outcome.refusals.append(error)
            }
        }
        return outcome
    }

    private func take(_ read: Read, _ library: FHIRLibrary, _ outcome: inout Outcome) throws(Refusal) {
        func refusal(_ reason: String) -> Refusal { Refusal(file: read.file, place: read.place, reason: reason) }
        let resource = read.resource
        var isWithdrawn = false
        switch resource.status {
        case "final", "amended", "corrected", "appended": break
        case "entered-in-error", "cancelled": isWithdrawn = true
        case "registered", "partial", "preliminary": return outcome.unfinished += 1
        case nil: throw refusal("it has no status")
        case let status?: throw refusal("its status is “\(status.prefix(32))”, which is none of R4's")
        }
        let findings = isWithdrawn ? [:] : resource.findings(by: map)
        guard isWithdrawn || !findings.isEmpty else {
            if resource.isAboutFinding(of: map) {
                throw refusal(
                    "its code is a finding's and its value says neither present nor absent (valueBoolean, "
                        + "valueCodeableConcept or interpretation)")
            }
            return outcome.unrelated += 1
        }
        guard let id = read.fullURL.flatMap(Self.persistent) ?? resource.id.map({ "\(resource.resourceType)/\($0)" })
        else {
            throw refusal("it has no id, by which a later version of it would be known")
        }
        let study = library.study(of: resource, named: id)
        if !isWithdrawn, study.uids.isEmpty, study.accessionNumbers.isEmpty {
            throw refusal(
                "it names no study: neither an ImagingStudy with identifier urn:dicom:uid nor an accession number "
                    + "(identifier of type ACSN)")
        }
        var at: Int64?
        if let text = resource.issued ?? resource.effectiveInstant ?? resource.effectiveDateTime
            ?? resource.effectivePeriod?.end ?? resource.effectivePeriod?.start
        {
            at = Int64(fhirDateTime: text)
            if at == nil { throw refusal("its time “\(text.prefix(40))” cannot be read") }
        }
        let people = (resource.resultsInterpreter ?? []) + (resource.performer ?? [])
        outcome.statements.append(
            FHIRStatement(
                resource: id, file: read.file, studies: study.uids, accessionNumbers: study.accessionNumbers,
                findings: findings, isWithdrawn: isWithdrawn,
                reader: people.lazy.compactMap { $0.display ?? $0.reference }.first ?? "", at: at))
    }

    /// A Bundle's URL names a resource for good, unless it was made up for the Bundle.
    private static func persistent(_ url: String) -> String? {
        url.hasPrefix("urn:uuid:") ? nil : FHIRLibrary.relative(url)
    }

    private static func problem(_ error: DecodingError) -> String {
        func place(_ path: [any CodingKey]) -> String {
            path.map { key in key.intValue.map { "[\($0)]" } ?? ".\(key.stringValue)" }.joined().drop { $0 == "." }
                .description
        }
        switch error {
        case .keyNotFound(let key, _): return "it is no FHIR resource: “\(key.stringValue)” is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return context.codingPath.isEmpty
                ? "it is no FHIR resource" : "\(place(context.codingPath)) is of the wrong kind"
        default: return "it is not JSON"
        }
    }
}

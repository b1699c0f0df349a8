// SPDX-License-Identifier: GPL-3.0-or-later

/// The elements of FHIR R4 resources (hl7.org/fhir/R4) that say something about a study: of DiagnosticReport, Observation,
/// ImagingStudy, ServiceRequest and Bundle, all in one, since they share most names. What is not listed is not read.
struct FHIRResource: Decodable {
    var resourceType: String
    var id: String?
    var contained: [FHIRResource]?
    var identifier: [Identifier]?
    var status: String?
    var basedOn: [Reference]?
    var partOf: [Reference]?
    var derivedFrom: [Reference]?
    var imagingStudy: [Reference]?
    /// R5's name of `imagingStudy`.
    var study: [Reference]?
    var result: [Reference]?
    var performer: [Reference]?
    var resultsInterpreter: [Reference]?
    var code: Concept?
    var valueBoolean: Bool?
    var valueCodeableConcept: Concept?
    var interpretation: [Concept]?
    var component: [Component]?
    var conclusionCode: [Concept]?
    var effectiveDateTime: String?
    var effectivePeriod: Period?
    var effectiveInstant: String?
    var issued: String?
    var entry: [Entry]?

    struct Coding: Decodable {
        var system: String?
        var code: String?
    }

    struct Concept: Decodable {
        var coding: [Coding]?
    }

    struct Identifier: Decodable {
        var type: Concept?
        var system: String?
        var value: String?
    }

    struct Reference: Decodable {
        var reference: String?
        var identifier: Identifier?
        var display: String?
    }

    struct Period: Decodable {
        var start: String?
        var end: String?
    }

    struct Component: Decodable {
        var code: Concept?
        var valueBoolean: Bool?
        var valueCodeableConcept: Concept?
        var interpretation: [Concept]?
    }

    struct Entry: Decodable {
        var fullUrl: String?
        var resource: FHIRResource?
    }

    private static let deepestPath = 16

    private enum CodingKeys: String, CodingKey {
        case resourceType, id, contained, identifier, status, basedOn, partOf, derivedFrom, imagingStudy, study, result
        case performer, resultsInterpreter, code, valueBoolean, valueCodeableConcept, interpretation, component
        case conclusionCode, effectiveDateTime, effectivePeriod, effectiveInstant, issued, entry
    }

    /// Resources of other types are read by their type and id alone: their elements of the same names are others.
    init(from decoder: any Decoder) throws {
        // Each level costs stack. A bundle's entry holds a resource, which may contain others, which may contain none
        // (R4, 2.11.3): five keys and places deep.
        guard decoder.codingPath.count <= Self.deepestPath else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: [], debugDescription: "resources are nested deeper than FHIR allows"))
        }
        let values = try decoder.container(keyedBy: CodingKeys.self)
        resourceType = try values.decode(String.self, forKey: .resourceType)
        id = try values.decodeIfPresent(String.self, forKey: .id)
        switch resourceType {
        case "Bundle": entry = try values.decodeIfPresent([Entry].self, forKey: .entry)
        case "ImagingStudy", "ServiceRequest":
            identifier = try values.decodeIfPresent([Identifier].self, forKey: .identifier)
            basedOn = try values.decodeIfPresent([Reference].self, forKey: .basedOn)
        case "DiagnosticReport", "Observation":
            contained = try values.decodeIfPresent([FHIRResource].self, forKey: .contained)
            identifier = try values.decodeIfPresent([Identifier].self, forKey: .identifier)
            status = try values.decodeIfPresent(String.self, forKey: .status)
            basedOn = try values.decodeIfPresent([Reference].self, forKey: .basedOn)
            partOf = try values.decodeIfPresent([Reference].self, forKey: .partOf)
            derivedFrom = try values.decodeIfPresent([Reference].self, forKey: .derivedFrom)
            imagingStudy = try values.decodeIfPresent([Reference].self, forKey: .imagingStudy)
            study = try values.decodeIfPresent([Reference].self, forKey: .study)
            result = try values.decodeIfPresent([Reference].self, forKey: .result)
            performer = try values.decodeIfPresent([Reference].self, forKey: .performer)
            resultsInterpreter = try values.decodeIfPresent([Reference].self, forKey: .resultsInterpreter)
            code = try values.decodeIfPresent(Concept.self, forKey: .code)
            valueBoolean = try values.decodeIfPresent(Bool.self, forKey: .valueBoolean)
            valueCodeableConcept = try values.decodeIfPresent(Concept.self, forKey: .valueCodeableConcept)
            interpretation = try values.decodeIfPresent([Concept].self, forKey: .interpretation)
            component = try values.decodeIfPresent([Component].self, forKey: .component)
            conclusionCode = try values.decodeIfPresent([Concept].self, forKey: .conclusionCode)
            effectiveDateTime = try values.decodeIfPresent(String.self, forKey: .effectiveDateTime)
            effectivePeriod = try values.decodeIfPresent(Period.self, forKey: .effectivePeriod)
            effectiveInstant = try values.decodeIfPresent(String.self, forKey: .effectiveInstant)
            issued = try values.decodeIfPresent(String.self, forKey: .issued)
        default: break
        }
    }
}

// SPDX-License-Identifier: GPL-3.0-or-later

/// The resources of an import by their names, to follow what refers to what.
struct FHIRLibrary {
    struct Study {
        var uids: [String] = []
        var accessionNumbers: [String] = []

        var isEmpty: Bool { uids.isEmpty && accessionNumbers.isEmpty }
    }

    private var byName: [String: FHIRResource] = [:]
    /// The reports that list an Observation as a result.
    private var reports: [String: FHIRResource] = [:]

    init(_ resources: [(resource: FHIRResource, fullURL: String?)]) {
        for (resource, url) in resources {
            if let id = resource.id { byName["\(resource.resourceType)/\(id)"] = resource }
            if let url { byName[url] = resource }
        }
        for (resource, _) in resources where resource.resourceType == "DiagnosticReport" {
            for result in resource.result ?? [] {
                guard let name = result.reference else { continue }
                reports[name] = resource
                reports[Self.relative(name)] = resource
                if let id = byName[name]?.id { reports["Observation/\(id)"] = resource }
            }
        }
    }

    /// `https://server/fhir/Observation/1/_history/2` → `Observation/1`.
    static func relative(_ url: String) -> String {
        let parts = url.split(separator: "/").prefix { $0 != "_history" }
        return parts.count < 2 ? url : parts.suffix(2).joined(separator: "/")
    }

    /// The study that a report or observation is about; an observation without one is about its report's.
    func study(of resource: FHIRResource, named name: String) -> Study {
        var study = Study()
        let about = [resource.imagingStudy, resource.study, resource.derivedFrom, resource.partOf]
        for reference in about.lazy.compactMap({ $0 }).joined() {
            add(reference.identifier, to: &study)
            guard let target = target(of: reference, in: resource), target.resourceType == "ImagingStudy" else {
                continue
            }
            for identifier in target.identifier ?? [] { add(identifier, to: &study) }
            addOrders(target, to: &study)
        }
        for identifier in resource.identifier ?? [] { add(identifier, to: &study) }
        addOrders(resource, to: &study)
        if study.isEmpty, resource.resourceType == "Observation", let report = reports[name] {
            return self.study(of: report, named: "")
        }
        return study
    }

    private func addOrders(_ resource: FHIRResource, to study: inout Study) {
        for reference in resource.basedOn ?? [] {
            add(reference.identifier, to: &study)
            for identifier in target(of: reference, in: resource)?.identifier ?? [] { add(identifier, to: &study) }
        }
    }

    private func target(of reference: FHIRResource.Reference, in resource: FHIRResource) -> FHIRResource? {
        guard let name = reference.reference else { return nil }
        if name.hasPrefix("#") { return resource.contained?.first { $0.id == String(name.dropFirst()) } }
        return byName[name] ?? byName[Self.relative(name)]
    }

    /// StudyInstanceUIDs and accession numbers as FHIR writes them (R4, ImagingStudy, notes).
    private func add(_ identifier: FHIRResource.Identifier?, to study: inout Study) {
        guard let identifier, let value = identifier.value, !value.isEmpty else { return }
        if identifier.system == "urn:dicom:uid" {
            let uid = value.hasPrefix("urn:oid:") ? String(value.dropFirst("urn:oid:".count)) : value
            if !study.uids.contains(uid) { study.uids.append(uid) }
        } else if identifier.type?.coding?.contains(where: { $0.code == "ACSN" }) == true {
            if !study.accessionNumbers.contains(value) { study.accessionNumbers.append(value) }
        }
    }
}
